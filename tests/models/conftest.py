import huggingface_hub
import pytest


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Returns an empty folder of weights; the hub has nothing and is not asked."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(folder))
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return folder
