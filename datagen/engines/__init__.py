"""Reaching a model: one OpenAI-compatible client over HTTP, and a vLLM server for this machine.

vLLM itself is never imported; any server that speaks the chat API will do.
"""
