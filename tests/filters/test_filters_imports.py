"""`filters` is a leaf: it imports neither the pipeline nor an engine, and the language detector only when asked."""

import subprocess
import sys


def test_judging_loads_neither_ray_nor_datagen_nor_lingua():
    code = (
        "import sys; from filters import load_policy; "
        "load_policy('standard').judge([{'messages': [{'role': 'assistant', 'content': '犬です。何歳ですか。'}]}]); "
        "print(sorted({'ray', 'vllm', 'datagen', 'lingua', 'pyarrow', 'torch'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
