"""Stands for torchaudio, which LLaMA-Factory imports for sound, and which needs another build of torch."""
