"""Plans and products of methods, backbones and analyses known by their descriptions alone."""

import pytest

from tests.helpers.tiny import spec
from vpbench.spec import costs, memory_costs, products
from vpbench.spec.analyses import ANALYSES, Analysis
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS, Method


def theirs(monkeypatch, settings, **more):
    """Returns the spec of a run of a method from outside with these settings."""
    monkeypatch.setitem(METHODS, "theirs", Method("m", "T", {}, **more))
    return spec() | {"method": "theirs", "settings": settings}


def test_a_method_needs_none_of_the_settings_of_ours_to_be_planned(monkeypatch):
    # 24 images there and back in each epoch, and one look at 36 after the last
    for settings, passes in (
        ({}, 2 * 24 + 36),
        ({"epochs": 3}, 3 * 2 * 24 + 36),
        ({"epochs": 3, "template": "a photo", "label_map": ["theirs"]}, 3 * 2 * 24 + 36),
        ({"label_map": "frequency"}, 3 * 24 + 36),
        ({"label_map": "iterative", "epochs": 3}, 3 * 3 * 24 + 36),
        ({"template": "none", "label_map": "text"}, 36),
    ):
        one = theirs(monkeypatch, settings)
        assert costs.passes_of(one) == passes
        assert memory_costs.host_mb(one, on_gpu=False) >= 1500
    one = theirs(monkeypatch, {}, on_features=True)
    assert memory_costs.held_bytes(one) > memory_costs.held_bytes(theirs(monkeypatch, {}))


def test_a_large_backbone_from_outside_is_not_taken_for_a_small_one(monkeypatch):
    large = BACKBONES["rn50_micro"]._replace(gflops=10.0)
    monkeypatch.setitem(BACKBONES, "large", large)
    sizes = memory_costs.sizes(spec() | {"backbone": "large"})
    assert sizes[1:3] == pytest.approx((24, 38)) and sizes.features == 6144
    monkeypatch.setitem(BACKBONES, "large", large._replace(gflops=None))
    assert memory_costs.sizes(spec() | {"backbone": "large"}) == memory_costs.SMALL
    counted = memory_costs.SIZES["rn50"]
    assert memory_costs.sizes(spec() | {"backbone": "rn50"}) == counted
    # No backbone that was counted keeps more than is taken of one that was not
    for name, each in memory_costs.SIZES.items():
        gflops = BACKBONES[name].gflops
        assert each.prompt <= memory_costs.MOST[0] * gflops
        assert each.fine_tune <= memory_costs.MOST[1] * gflops


def test_an_analysis_may_make_a_csv_alone(monkeypatch):
    monkeypatch.setitem(ANALYSES, "theirs", Analysis("m", "csv"))
    assert products.products("theirs") == {"csv": "results/theirs.csv"}
