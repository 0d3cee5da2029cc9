"""The prompt templates: one YAML file each, read into a validated `Prompt`.

A prompt is data. Adding one means adding a file here, or naming a file of your own in a recipe; nothing else changes.

>>> prompt = load_prompt("question_answer")
>>> print(prompt.render(turn=2, focus="どんな色をしているか"))
続けて、これまでと重ならない質問とその答えをもう一組作ってください。
観点：どんな色をしているか
"""

from prompts.prompt import Prompt, PromptError, Sampling, load_prompt, prompt_names
from prompts.template import Template

__all__ = ["Prompt", "PromptError", "Sampling", "Template", "load_prompt", "prompt_names"]
