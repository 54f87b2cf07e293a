import math
from dataclasses import replace

import lpips
import numpy as np
import pandas
import pytest
import scipy.linalg
import torch
from matplotlib import pyplot
from PIL import Image
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from analysis.common import cells, correlation
from analysis.figures import dataset_properties
from tests.helpers.analyses import LAB, run
from tests.helpers.fake_records import SIZES, record, write_all
from vpbench.common import atomic_files
from vpbench.common.errors import RecordError
from vpbench.common.intervals import wilson
from vpbench.data.load import load_task
from vpbench.experiment.measurements import dataset_properties as measurement
from vpbench.experiment.measurements import frechet
from vpbench.models import lpips_weights
from vpbench.records.paths import record_path
from vpbench.spec.schema import SCHEMA
from vpbench.twins import world_pictures

PLAIN, SHIFTS = cells.tasks_of(False), cells.tasks_of(True)
CPU = torch.device("cpu")
SETTINGS = {
    "extractor": "rn50_micro",
    "diversity": "features",
    "weights": None,
    "reference": None,
    "images": 20,
    "reference_images": 30,
    "pairs": 12,
    "seed": 0,
}


class Colours(nn.Module):
    """Mean and spread of each colour: six features [N, 6] of uint8 images [N, 3, H, W]."""

    num_features = 6

    def forward(self, images):
        values = images.double().flatten(2)
        return torch.cat([values.mean(2), values.std(2)], 1)


def noise(count, seed=0, low=0, high=256):
    """Returns uint8 images [count, 8, 8, 3] of random numbers."""
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.integers(low, high, (count, 8, 8, 3), dtype=np.uint8))


def distance_from(reference):
    """Returns torchmetrics' distance of the six features, the reference in place."""
    metric = FrechetInceptionDistance(Colours(), reset_real_features=False)
    frechet.update(metric, reference, real=True)
    return metric


@pytest.fixture(scope="module")
def twin():
    """Returns a small twin."""
    return load_task("eurosat_twin", {"train": 24, "validation": 10, "test": 10})


def test_the_frechet_distance_is_that_of_the_two_gaussians():
    reference, images = noise(90, 0), noise(60, 1, low=40, high=200)
    found, _ = frechet.frechet_distance(distance_from(reference), images)
    a, b = (Colours()(side.permute(0, 3, 1, 2)).numpy() for side in (reference, images))
    cross = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected += np.trace(np.cov(a.T) + np.cov(b.T) - 2 * cross)
    assert found == pytest.approx(expected, rel=1e-6)


def test_brighter_pictures_are_as_far_as_they_are_brighter():
    reference = noise(50, high=200)
    metric = distance_from(reference)
    assert frechet.frechet_distance(metric, reference)[0] == pytest.approx(0, abs=1e-6)
    # three colours, each 10 brighter, everything else equal: 3 x 10^2
    assert frechet.frechet_distance(metric, reference + 10)[0] == pytest.approx(300)
    assert frechet.frechet_distance(metric, reference + 10)[0] == pytest.approx(300)  # again


@pytest.mark.parametrize("images, rank", [(4, 3), (6, 5), (50, 6)])
def test_the_rank_of_the_covariance_is_at_most_one_below_the_number_of_images(images, rank):
    assert frechet.frechet_distance(distance_from(noise(50)), noise(images, 1))[1] == rank


def test_the_bias_is_the_distance_of_further_samples_and_falls_with_their_size(monkeypatch):
    painted = []

    def paint(count, version):
        painted.append(version)
        return noise(count).numpy(), None

    monkeypatch.setattr(world_pictures, "paint_world", paint)
    monkeypatch.setattr(
        frechet,
        "load_metric",
        lambda *_: FrechetInceptionDistance(Colours(), reset_real_features=False),
    )
    load = frechet.load_reference.__wrapped__
    reference = load("colours", None, None, frechet.preprocessing_of("inception_v3"), 100, 200, CPU)
    metric, few, many = reference.metric, *(frechet.biases(reference, n) for n in (10, 200))
    assert painted == ["labelled"]
    assert metric.real_features_num_samples == 100
    assert len(few) == frechet.DRAWS and len(set(few)) == frechet.DRAWS
    assert 0 < np.mean(many) < np.mean(few) / 2
    again = noise(100 + 3 * 10)[110:120]  # the second sample after the reference
    assert frechet.frechet_distance(metric, again)[0] == pytest.approx(few[1])


def test_pairs_are_of_different_images_and_seeded():
    first, second = measurement.random_pairs(5, 2000, 0)
    assert (first != second).all()
    counts = np.zeros((5, 5))
    np.add.at(counts, (first.numpy(), second.numpy()), 1)
    assert counts[~np.eye(5, dtype=bool)].min() > 60  # all 20 kinds, 100 of each on average
    assert torch.equal(second, measurement.random_pairs(5, 2000, 0)[1])
    assert not torch.equal(first, measurement.random_pairs(5, 2000, 1)[0])


def test_the_error_of_a_mean_of_pairs_counts_what_pairs_share():
    apart = measurement.mean_of_pairs(np.array([1.0, 3]), np.array([0, 2]), np.array([1, 3]))
    assert apart == pytest.approx((2, math.sqrt(2) / 2))  # residuals -1 and 1 of two pairs
    distances, first = np.array([3.0, 3, 1, 1]), np.array([0, 0, 3, 3])
    mean, error = measurement.mean_of_pairs(distances, first, np.array([1, 2, 4, 5]))
    # four squares, and twice the product of the two residuals at image 0 and at image 3
    assert (mean, error) == pytest.approx((2, math.sqrt(4 + 2 + 2) / 4))


def test_the_interval_holds_the_mean_over_all_images_of_the_kind():
    generator, hits = np.random.default_rng(0), 0
    for trial in range(200):
        of_image = generator.exponential(size=60)  # a pair's distance is its images' sum
        first, second = (side.numpy() for side in measurement.random_pairs(60, 80, trial))
        mean, error = measurement.mean_of_pairs(of_image[first] + of_image[second], first, second)
        hits += abs(mean - 2) < measurement.NORMAL * error
    assert 0.88 < hits / 200 < 0.99


@pytest.mark.parametrize("name", ["clip_micro", "instagram_micro", "bit_m_micro", "rn50_micro"])
def test_every_backbone_gives_a_feature_distance(twin, name):
    between = measurement.load_feature_distance(name, CPU)
    a, b = twin.splits["train"].images[:3], twin.splits["train"].images[3:6]
    distances = between(a, b)
    assert distances.shape == (3,) and (distances > 0.01).all()
    assert torch.allclose(distances, between(b, a)) and between(a, a).abs().max() < 1e-6


@pytest.mark.filterwarnings("ignore:.*pretrained.*:UserWarning", "ignore:.*weight enum:UserWarning")
def test_the_feature_distance_is_that_of_lpips_without_heads():
    model = lpips.LPIPS(net="alex", lpips=False, pnet_rand=True, verbose=False)
    a, b = (torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    stages = [model.net(model.scaling_layer(side)) for side in (a, b)]
    ours = measurement.stage_distance(list(zip(*stages)))
    assert torch.allclose(ours, model(a, b).flatten() / len(stages[0]), rtol=1e-4)


def test_a_measurement_names_its_network_in_every_key(twin):
    row = measurement.measure(lambda _: twin, SETTINGS, [], CPU).rows[0]
    assert {"frechet_distance_rn50_micro", "frechet_bias_rn50_micro"} < set(row)
    assert not {"fid", "frechet_distance", "diversity", "lpips"} & set(row)
    assert row["diversity_low"] < row["feature_diversity_rn50_micro"] < row["diversity_high"]
    assert (row["images"], row["reference_images"], row["pairs"]) == (20, 30, 12)
    assert row["rank"] <= 19 and row["dimension"] == 384
    assert row["frechet_bias_rn50_micro"] < row["frechet_distance_rn50_micro"]


def test_equal_settings_give_an_equal_measurement_and_another_seed_another(twin):
    once, again = (measurement.measure(lambda _: twin, SETTINGS, [], CPU) for _ in range(2))
    other = measurement.measure(lambda _: twin, SETTINGS | {"seed": 1}, [], CPU)
    key = "frechet_distance_rn50_micro"
    assert once == again and once.rows[0][key] != other.rows[0][key]


def test_a_measurement_takes_all_images_where_there_are_fewer(twin):
    settings = SETTINGS | {"images": 500}
    assert measurement.measure(lambda _: twin, settings, [], CPU).rows[0]["images"] == 24


def test_lpips_gets_images_from_minus_one_to_one(monkeypatch, tmp_path, twin):
    seen = []

    class Network(nn.Module):
        def forward(self, a, b):
            seen.extend([a, b])
            return (a - b).square().mean((1, 2, 3), keepdim=True)

    (tmp_path / "lpips_alex.safetensors").write_bytes(b"")
    monkeypatch.setattr(lpips_weights, "load", lambda path, network: Network())
    between = measurement.load_lpips("lpips_alex", "made up", CPU)
    black, white = (torch.full((2, 4, 4, 3), value, dtype=torch.uint8) for value in (0, 255))
    assert between(black, white).tolist() == [4, 4]
    assert seen[0].shape == (2, 3, 4, 4) and (seen[0] == -1).all() and (seen[1] == 1).all()
    settings = SETTINGS | {"diversity": "lpips_alex", "weights": str(tmp_path)}
    row = measurement.measure(lambda _: twin, settings, [], CPU).rows[0]
    assert "lpips_alex" in row and not any("feature_diversity" in key for key in row)


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"diversity": "lpips_alex"}, "lpips_alex needs its published weights, a random network"),
        ({"extractor": "inception_v3"}, "features` is that of a backbone, not of inception_v3"),
        ({"diversity": "lpips_vgg", "weights": "/nowhere/vgg"}, "/nowhere/vgg is missing"),
    ],
)
def test_a_network_without_weights_is_refused(twin, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        measurement.measure(lambda _: twin, SETTINGS | changes, [], CPU)


def test_inception_needs_its_package_and_exactly_its_weights(monkeypatch, tmp_path, twin):
    weights = tmp_path / "inception.pth"
    weights.write_bytes(b"others")
    images, settings = twin.splits["train"].images, SETTINGS | {"extractor": "inception_v3"}
    with pytest.raises(ValueError, match="inception_v3 needs its published weights"):
        measurement.distance(images, settings, CPU)
    settings |= {"weights": str(weights)}
    monkeypatch.setattr(frechet, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install torch-fidelity"):
        measurement.distance(images, settings, CPU)
    monkeypatch.setattr(frechet, "find_spec", lambda name: "there")
    with pytest.raises(ValueError, match="SHA-256 .* has 6726825d0af5...; give that file"):
        measurement.distance(images, settings, CPU)


def test_only_twins_are_compared_with_the_labs_world(twin):
    with pytest.raises(ValueError, match="photos is no twin, and the reference is the lab's world"):
        measurement.measure(lambda _: replace(twin, name="photos"), SETTINGS, [], CPU)


def gains_of(gains, text_prompt=lambda number: 40.0):
    """Returns records of CLIP whose visual prompt gains `gains` (task -> points)."""
    made = []
    for number, (task, gain) in enumerate(gains.items()):
        plain = text_prompt(number)
        for method, accuracy in (("text_prompt", plain), ("visual_prompt", plain + gain)):
            made.append(record(f"{task}_twin", "clip_micro", method, accuracy))
    return made


def measured(values, **settings):
    """Returns measurement records: `values` has (distance, diversity) by task."""
    made = []
    for task, (distance, diversity) in values.items():
        row = {
            "frechet_distance_rn50_micro": distance,
            "frechet_bias_rn50_micro": 6.0,
            "frechet_bias_spread_rn50_micro": 0.5,
            "reference": "labelled lab world",
            "feature_diversity_rn50_micro": diversity,
            "diversity_low": diversity - 0.02,
            "diversity_high": diversity + 0.02,
        }
        row |= {key: SETTINGS[key] for key in ("images", "reference_images", "pairs", "seed")}
        spec = {
            "scale": "lab",
            "kind": "twins",
            "measurement": "dataset_properties",
            "task": f"{task}_twin",
        }
        spec |= {"data": SIZES, "settings": SETTINGS | settings, "runs": []}
        made.append(
            {
                "schema": SCHEMA,
                "spec": spec,
                "task": record(f"{task}_twin", "clip_micro", "text_prompt", 0.0)["task"],
                "rows": [row],
                "versions": {},
                "device": "cpu",
                "measured": {},
            }
        )
    return made


RISING = {task: float(number) for number, task in enumerate(PLAIN)}
FAR_AND_ALIKE = {task: (10 + 2 * number, 1 - number / 20) for number, task in enumerate(PLAIN)}


def test_gain_that_rises_with_distance_and_falls_with_diversity_is_found():
    made, seen = gains_of(RISING), measured(FAR_AND_ALIKE)
    frame, columns = dataset_properties.properties(made, seen), dataset_properties.columns_of(seen)
    summary = dataset_properties.statistics(frame, columns).set_index("statistic")
    assert list(frame.gain) == pytest.approx(list(RISING.values()))
    assert summary.value["spearman_gain_frechet"] == pytest.approx(1)
    assert summary.value["pearson_gain_diversity"] == pytest.approx(-1)
    assert set(summary["count"]) == {12}


def test_a_gain_that_only_uses_up_the_headroom_has_no_correlation_given_the_text_prompt():
    generator = np.random.default_rng(3)
    plain = generator.uniform(20, 90, 12)
    gains = {task: 100 - value - 25 * generator.random() for task, value in zip(PLAIN, plain)}
    distances = 150 - plain + generator.normal(0, 6, 12)  # far datasets have a low TP
    seen = measured({task: (distance, 0.5) for task, distance in zip(PLAIN, distances)})
    frame = dataset_properties.properties(gains_of(gains, lambda number: plain[number]), seen)
    columns = dataset_properties.columns_of(seen)
    summary = dataset_properties.statistics(frame, columns).set_index("statistic")
    assert summary.low["spearman_gain_frechet"] > 0.4
    for name in ("partial", "partial_spearman"):
        row = summary.loc[f"{name}_gain_frechet_given_text_prompt"]
        assert row.low < 0 < row.high and abs(row.value) < 0.5
    expected = correlation.partial(frame.gain, distances, plain)
    assert summary.value["partial_gain_frechet_given_text_prompt"] == pytest.approx(expected)


def test_a_property_that_is_the_same_everywhere_has_no_correlation_and_the_figure_says_so():
    seen = measured(dict.fromkeys(PLAIN, (9, 0.5)))
    columns = dataset_properties.columns_of(seen)
    frame = dataset_properties.properties(gains_of(RISING), seen)
    summary = dataset_properties.statistics(frame, columns)
    figure = dataset_properties.draw(frame, summary, columns, LAB, [])
    assert summary.value.isna().all() and summary.p_value.isna().all()  # TP is constant as well
    assert "Spearman undefined" in figure.axes[0].get_title()
    pyplot.close(figure)


def test_the_three_shifts_are_there_but_not_in_the_statistics():
    far = dict.fromkeys(SHIFTS, (1000.0, 0.0))
    seen = measured(FAR_AND_ALIKE | far)
    frame = dataset_properties.properties(gains_of(RISING | dict.fromkeys(SHIFTS, -30.0)), seen)
    columns = dataset_properties.columns_of(seen)
    summary = dataset_properties.statistics(frame, columns).set_index("statistic")
    assert (
        list(frame.task) == [*PLAIN, *SHIFTS] and list(frame["shift"]) == [False] * 12 + [True] * 3
    )
    assert summary.value["spearman_gain_frechet"] == pytest.approx(1)
    figure = dataset_properties.draw(frame, summary.reset_index(), columns, LAB, [])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[14:] == ["15  Camelyon17 twin", "Dataset", "Shift, not in the trend", "Trend"]
    pyplot.close(figure)


def test_the_interval_of_a_gain_and_the_papers_gain_stand_beside_it():
    frame = dataset_properties.properties(gains_of({"svhn": 0.0}), measured({"svhn": (9, 0.5)}))
    half = math.sqrt(2) * (wilson(40.0, 1000)[1] - 40)
    row = frame.iloc[0]
    assert row.gain_high == pytest.approx(half, rel=0.05)
    assert row.published == pytest.approx(83.3) and row.text_prompt == 40


def test_measurements_of_two_kinds_are_refused():
    mixed = measured({"svhn": (9, 0.5)}) + measured({"dtd": (9, 0.5)}, images=19)
    with pytest.raises(RecordError, match="kinds of measurements: images is 20 and 19"):
        dataset_properties.columns_of(mixed)


def test_numbers_cover_neither_points_nor_each_other():
    points = np.random.default_rng(0).uniform(0, 190, (15, 2))
    points[1] = points[0] + 2  # two that cover each other
    placed = points + dataset_properties.offsets(points)
    size = dataset_properties.NUMBER
    for number, place in enumerate(placed):
        others = [other for k, other in enumerate(placed) if k != number]
        assert all(dataset_properties.overlap(place, size, other, size) == 0 for other in others)
        assert all(
            dataset_properties.overlap(place, size, point, size / 2) == 0 for point in points
        )


def run_analysis(folder, made, seen):
    """Returns the csv file of the analysis on records and measurements written to `folder`."""
    manifests = write_all(made, folder / "runs")
    measurements = [
        atomic_files.write(record_path(one["spec"], folder / "measurements"), one) for one in seen
    ]
    out = folder / "dataset_properties.csv"
    command = ["--runs", *map(str, manifests), "--measurements", *map(str, measurements)]
    command += ["--out", str(out), "--figures", str(folder / "figures")]
    assert run("dataset_properties", *command) == 0
    assert (folder / "figures" / "dataset_properties.png").stat().st_size > 10_000
    assert b"/Type /Font" in (folder / "figures" / "dataset_properties.pdf").read_bytes()
    return pandas.read_csv(out)


def test_the_analysis_writes_datasets_then_statistics(tmp_path, capsys):
    frame = run_analysis(tmp_path, gains_of(RISING), measured(FAR_AND_ALIKE))
    assert list(frame.task[:12]) == PLAIN and set(frame.task[12:]) == {"all"}
    found = frame.set_index("statistic").value
    assert found["spearman_gain_frechet"] == 1 and found["spearman_gain_diversity"] == -1
    assert "not run: gain of iWILDCAM twin, FMoW twin, Camelyon17 twin" in capsys.readouterr().err


@pytest.mark.parametrize(
    "made, seen, complaint",
    [
        ([], [], "not run: the measurement dataset_properties"),
        (gains_of(RISING), [], "not run: the measurement dataset_properties"),
        ([], measured(FAR_AND_ALIKE), "not run: gain of any dataset"),
        (
            gains_of(dict(list(RISING.items())[:3])),
            measured(FAR_AND_ALIKE),
            "not run: gain of Food twin",
        ),
    ],
)
def test_too_little_gives_no_statistic_and_a_figure_that_says_so(
    tmp_path, capsys, monkeypatch, made, seen, complaint
):
    drawn, draw = [], dataset_properties.draw
    monkeypatch.setattr(
        dataset_properties, "draw", lambda *things: drawn.append(draw(*things)) or drawn[0]
    )
    frame = run_analysis(tmp_path, made, seen)
    assert frame.statistic.isna().all()
    assert complaint in capsys.readouterr().err
    if made and seen:
        titles = {axes.get_title() for axes in drawn[0].axes}
        assert any("3 datasets, too few for a correlation" in title for title in titles)
        assert "Not run: gain of Food twin" in drawn[0].legends[0].get_title().get_text()
    else:
        said = drawn[0].axes[0].texts[0].get_text()
        assert said.replace("\n", " ").startswith(f"N{complaint[1:]}")


def test_the_reference_can_be_a_folder_of_photographs(twin, tmp_path):
    for number, image in enumerate(noise(100).numpy()):
        path = tmp_path / "photos" / str(number % 3) / f"{number}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    photos = replace(twin, name="photos")
    settings = SETTINGS | {"reference": str(tmp_path / "photos")}
    row = measurement.measure(lambda _: photos, settings, [], CPU).rows[0]
    assert (row["reference"], row["reference_images"]) == ("images of photos", 30)
    assert row["frechet_bias_rn50_micro"] < row["frechet_distance_rn50_micro"]
    itself = replace(photos, splits={"train": replace(twin.splits["train"], images=noise(20, 1))})
    nearer = measurement.measure(lambda _: itself, settings, [], CPU).rows[0]
    assert nearer["frechet_distance_rn50_micro"] < row["frechet_distance_rn50_micro"] / 2


def test_a_reference_with_too_few_photographs_says_how_many_are_needed(twin, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    photos = replace(twin, name="photos")
    settings = SETTINGS | {"reference": str(tmp_path)}
    with pytest.raises(ValueError, match="has 1 images, 90 are needed: reference_images and 3 tim"):
        measurement.measure(lambda _: photos, settings, [], CPU)
    settings |= {"reference": str(tmp_path / "nowhere")}
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        measurement.measure(lambda _: photos, settings, [], CPU)
