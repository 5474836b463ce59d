"""Writes expected.json: what pyspark.mllib 3.5 makes of the same batches.

    pip install --target target/peers/pyspark pyspark==3.5.9 numpy
    PYTHONPATH=target/peers/pyspark python3 dstream-ml/tests/expected.py

Needs Java 17. Each case has its settings, its batches, and after each batch the model and what it says of a few
points. Batches are given as partitions, since mini-batches are drawn by partition.
"""

import json
import os
import random
import sys

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

from pyspark import SparkContext
from pyspark.mllib.classification import LogisticRegressionModel, LogisticRegressionWithSGD
from pyspark.mllib.clustering import StreamingKMeans
from pyspark.mllib.linalg import Vectors
from pyspark.mllib.regression import LabeledPoint, LinearRegressionModel, LinearRegressionWithSGD

sc = SparkContext("local[1]", "expected", conf=None)
sc.setLogLevel("ERROR")
draw = random.Random(16)


def partitions(batch):
    """An RDD with these partitions, each of which may be empty."""
    if not any(batch):
        return sc.parallelize([], max(1, len(batch)))
    parts = sc.parallelize(list(enumerate(batch)), len(batch))
    return parts.flatMap(lambda part: part[1])


def gaussians(center, n, spread=1.0):
    return [[draw.gauss(x, spread) for x in center] for _ in range(n)]


def kmeans(name, k, batches, probes, decay=1.0, unit="batches", half_life=None, centers=None, weights=None):
    """As `StreamingKMeans.trainOn` does in each batch, which discounts also in an empty one."""
    settings = {"k": k, "decay": decay, "unit": unit, "half_life": half_life, "centers": centers, "weights": weights}
    algorithm = StreamingKMeans(k, decay, unit)
    if half_life is not None:
        algorithm.setHalfLife(half_life, unit)
    algorithm.setInitialCenters(centers, weights)
    model, after = algorithm.latestModel(), []
    for batch in batches:
        model.update(partitions(batch).map(Vectors.dense), algorithm._decayFactor, algorithm._timeUnit)
        after.append(
            {
                "centers": [[float(x) for x in center] for center in model.centers],
                "weights": [float(w) for w in model.clusterWeights],
                "predictions": [int(model.predict(Vectors.dense(p))) for p in probes],
            }
        )
    return {"name": name, "settings": settings, "batches": batches, "probes": probes, "after": after}


def labeled(batch):
    return partitions(batch).map(lambda p: LabeledPoint(p[0], p[1]))


def sgd(name, kind, batches, probes, step=0.1, iterations=50, fraction=1.0, reg=0.0, tolerance=0.001, weights=None):
    """As `trainOn` of the two streaming algorithms does in each batch, which leave an empty one out."""
    settings = {
        "step": step, "iterations": iterations, "fraction": fraction, "reg": reg, "tolerance": tolerance, "weights": weights,
    }
    weights, after = Vectors.dense(weights), []
    for batch in batches:
        if any(batch):
            if kind == "linear":
                model = LinearRegressionWithSGD.train(
                    labeled(batch), iterations, step, fraction, weights, intercept=0.0, convergenceTol=tolerance
                )
            else:
                model = LogisticRegressionWithSGD.train(
                    labeled(batch), iterations, step, fraction, weights, regParam=reg, convergenceTol=tolerance
                )
            weights = model.weights
        if kind == "linear":
            model = LinearRegressionModel(weights, 0.0)
        else:
            model = LogisticRegressionModel(weights, 0.0, len(weights), 2)
        after.append(
            {"weights": [float(w) for w in weights], "predictions": [float(model.predict(Vectors.dense(p))) for p in probes]}
        )
    return {"name": name, "settings": settings, "batches": batches, "probes": probes, "after": after}


def drifting(batches, n, parts=1):
    """Three clusters that wander."""
    out = []
    for t in range(batches):
        points = gaussians([0.3 * t, 0.0], n) + gaussians([8.0, 8.0 - 0.4 * t], n) + gaussians([-6.0, 5.0], n)
        draw.shuffle(points)
        out.append([points[i::parts] for i in range(parts)])
    return out


def values(weights, batches, n, noise=0.1, parts=1):
    out = []
    for _ in range(batches):
        batch = []
        for features in gaussians([0.0] * len(weights), n):
            label = sum(w * x for w, x in zip(weights, features)) + draw.gauss(0.0, noise)
            batch.append([label, features])
        out.append([batch[i::parts] for i in range(parts)])
    return out


def classes(weights, batches, n, parts=1):
    out = values(weights, batches, n, 0.5, parts)
    return [[[[float(label > 0), x] for label, x in part] for part in batch] for batch in out]


probes2 = gaussians([2.0, 2.0], 12, 6.0)
probes3 = gaussians([0.0] * 3, 12, 2.0)
three = [[0.0, 1.0], [7.0, 7.0], [-5.0, 4.0]]
far = [[0.0, 1.0], [7.0, 7.0], [900.0, 900.0]]

cases = {
    "kmeans": [
        kmeans("all points count alike", 3, drifting(5, 20), probes2, centers=three, weights=[0.0] * 3),
        kmeans("in several partitions", 3, drifting(4, 20, 4), probes2, 0.7, centers=three, weights=[1.0, 2.0, 3.0]),
        kmeans("only the last batch counts", 3, drifting(4, 10), probes2, 0.0, centers=three, weights=[1.0] * 3),
        kmeans("decay by points", 3, drifting(4, 10), probes2, 0.99, "points", centers=three, weights=[5.0] * 3),
        kmeans("half-life in batches", 3, drifting(6, 10), probes2, unit="batches", half_life=2.5, centers=three, weights=[0.0] * 3),
        kmeans("half-life in points", 3, drifting(6, 10), probes2, unit="points", half_life=40.0, centers=three, weights=[0.0] * 3),
        kmeans("an empty batch forgets", 2, [[[[1.0], [9.0]]], [[]], [[[2.0]]]], [[0.0], [8.0]], 0.5, centers=[[0.0], [10.0]], weights=[4.0, 4.0]),
        kmeans("a dying cluster splits the largest", 3, drifting(5, 15), probes2, 0.0005, centers=far, weights=[1.0] * 3),
        kmeans("one without weight splits the largest at once", 3, drifting(4, 15), probes2, 0.9, centers=far, weights=[0.0] * 3),
    ],
    "linear": [
        sgd("as it begins", "linear", values([2.0, -1.0, 0.5], 4, 40), probes3, weights=[0.0] * 3),
        sgd("long steps", "linear", values([2.0, -1.0, 0.5], 3, 40), probes3, step=0.7, iterations=20, weights=[1.0, 1.0, 1.0]),
        sgd("without convergence", "linear", values([3.0, 0.0, -2.0], 3, 30), probes3, tolerance=0.0, iterations=33, weights=[0.0] * 3),
        sgd("one step", "linear", values([3.0, 0.0, -2.0], 3, 30), probes3, iterations=1, weights=[0.0] * 3),
        sgd("mini-batches of a half", "linear", values([2.0, -1.0, 0.5], 3, 60), probes3, fraction=0.5, weights=[0.0] * 3),
        sgd("mini-batches of a tenth", "linear", values([2.0, -1.0, 0.5], 3, 60, parts=3), probes3, fraction=0.1, weights=[0.0] * 3),
        sgd("empty batches", "linear", [[[]], values([1.0, 1.0, 1.0], 1, 20)[0], [[]]], probes3, weights=[0.5] * 3),
    ],
    "logistic": [
        sgd("as it begins", "logistic", classes([2.0, -1.0, 0.5], 4, 40), probes3, weights=[0.0] * 3),
        sgd("held down", "logistic", classes([2.0, -1.0, 0.5], 4, 40), probes3, step=1.0, reg=0.3, weights=[0.0] * 3),
        sgd("without convergence", "logistic", classes([0.0, -4.0, 1.0], 3, 30), probes3, tolerance=0.0, reg=0.01, weights=[1.0] * 3),
        sgd("mini-batches", "logistic", classes([2.0, -1.0, 0.5], 3, 60, 2), probes3, step=2.0, fraction=0.45, weights=[0.0] * 3),
        sgd("empty batches", "logistic", [[[]], classes([1.0, 1.0, 1.0], 1, 20)[0], [[]]], probes3, weights=[0.5] * 3),
    ],
    "random_centers": [],
}
# Python draws its random centers by numpy; the original, in Scala, by its own generator.
scala = sc._jvm.org.apache.spark.mllib.clustering
for k, dimensions, weight, seed in [(3, 2, 0.0, 42), (2, 5, 1.5, 7), (4, 1, 0.0, 1 << 40)]:
    model = scala.StreamingKMeans(k, 1.0, "batches").setRandomCenters(dimensions, weight, seed).latestModel()
    centers = [list(center.toArray()) for center in model.clusterCenters()]
    cases["random_centers"].append({"k": k, "dimensions": dimensions, "weight": weight, "seed": seed, "centers": centers})
sc.stop()

with open(os.path.join(os.path.dirname(__file__), "expected.json"), "w") as out:
    lines = [f'"{kind}": [\n' + ",\n".join(json.dumps(case) for case in found) + "\n]" for kind, found in cases.items()]
    out.write("{\n" + ",\n".join(lines) + "\n}\n")
