"""The tiny model against a weakened copy of itself on the miniature, compared question by question.

    python -m benchmarks.model_comparison [--noise 0.4]

The copy has noise in all its weights but the embeddings, in standard deviations of each matrix. Both are served by vLLM
on this machine, one after the other; it takes about three minutes on two cores.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from datagen.jicvqa.evaluation.asking import Settings
from datagen.jicvqa.models import ModelServer
from datagen.jicvqa.runs.build import BuildChoice, build
from datagen.jicvqa.runs.distractors import DistractorsChoice, make_distractors
from datagen.jicvqa.runs.evaluation import compare_evaluations, evaluate_model

_EXAMPLES = Path(__file__).parents[1] / "examples"


def weaken(model: Path, noise: float) -> None:
    """Add noise to the weights of a model, in place."""
    import torch
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    path = str(model / "model.safetensors")
    weights = load_file(path)
    for name, weight in weights.items():
        if weight.ndim >= 2 and "embed_tokens" not in name and "lm_head" not in name:
            exact = weight.float()
            weights[name] = (exact + torch.randn_like(exact) * noise * exact.std()).to(weight.dtype).contiguous()
    save_file(weights, path, metadata={"format": "pt"})


def main() -> None:
    """Print both results and the comparison."""
    parser = argparse.ArgumentParser(description="A model against a weakened copy.")
    parser.add_argument("--noise", type=float, default=0.4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, miniature = Path(name), _EXAMPLES / "jic_miniature"
        whole, weak = folder / "tiny-vlm", folder / "weakened"
        for copy in (whole, weak):
            shutil.copytree(_EXAMPLES / "tiny_vlm" / "model", copy)
        weaken(weak, options.noise)
        nobody = ModelServer((), "", None, 1)
        choice = DistractorsChoice("mutual", "lexical", classes=miniature / "classes.json")
        make_distractors(folder / "distractors.json", choice, nobody)
        build(str(miniature / "images.csv"), folder / "distractors.json", folder / "build", BuildChoice())
        for model in (whole, weak):
            server = ModelServer((), str(model), None, 32)
            evaluate_model(folder / "build", folder / f"of-{model.name}", Settings(), server, None, None)
        compare_evaluations([folder / "of-tiny-vlm", folder / "of-weakened"], folder / "compared", None)


if __name__ == "__main__":
    main()
