"""Situations about shapes, inputs, outputs, targets and layers of torch networks."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import shisen

from .situations import LeNet, agrees, close, conv_net, gradient, logits, noise, photo, refused, works

X = noise(16, 16, 3)


class Two(nn.Module):
    """An image and a vector."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(6, 3)

    def forward(self, image: Any, age: Any) -> Any:
        return self.fc(torch.cat([self.conv(image).relu().mean((2, 3)), age], 1))


class Then(nn.Module):
    """A convolutional body and what a function makes of its output."""

    def __init__(self, function: Any, classes: int = 3) -> None:
        super().__init__()
        self.body, self.function = conv_net(classes=classes), function

    def forward(self, x: Any) -> Any:
        return self.function(self.body(x))


class Recurrent(nn.Module):
    """A convolution whose rows are read by an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.rnn = nn.Conv2d(3, 4, 3), nn.LSTM(4 * 14, 8, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = self.conv(x).relu()
        return self.fc(self.rnn(x.permute(0, 2, 1, 3).flatten(2))[0][:, -1])


AGE = torch.tensor([[0.3, -1.0]])


# ---- shapes


@works("shapes", "LeNet with x.view on 28 × 28 gray arrays")
def lenet(folder: Path) -> None:
    net, x = LeNet().eval(), noise(28, 28, 1)
    agrees(shisen.wrap(net), net, x)
    assert shisen.explain(shisen.wrap(net), x, layer="conv2").values.shape == (10, 10)


@works("shapes", "a CIFAR network with x.view on 32 × 32 color arrays")
def cifar(folder: Path) -> None:
    net = LeNet(3, 32).eval()
    agrees(shisen.wrap(net), net, noise(32, 32, 3))


@works("shapes", "the layers of a network of fixed size, with input_shape")
def layers_of_fixed(folder: Path) -> None:
    assert [p.shape for p in shisen.wrap(LeNet().eval(), input_shape=(28, 28, 1)).layers][:1] == [(24, 24, 6)]


@refused("shapes", "an image of another size than the network's")
def other_size(folder: Path) -> None:
    shisen.explain(shisen.wrap(LeNet().eval()), noise(30, 30, 1))


@works("shapes", "a CNN whose rows are read by an LSTM")
def recurrent(folder: Path) -> None:
    net = Recurrent().eval()
    agrees(shisen.wrap(net), net, X)


@works("shapes", "a reshape by the batch size, and a method that sends many copies")
def by_batch(folder: Path) -> None:
    net = Then(lambda y: y.reshape(len(y), 3)).eval()
    a = shisen.explain(shisen.wrap(net), X, "ablation_cam", layer="body.3")
    b = shisen.explain(shisen.wrap(conv_net()), X, "ablation_cam", layer="3")
    close(a.values, b.values, 1e-4)


@works("shapes", "a network of linear layers only")
def linear_only(folder: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16 * 3, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    agrees(shisen.wrap(net), net, X)


@refused("shapes", "Grad-CAM of a network of linear layers only")
def cam_of_linear(folder: Path) -> None:
    shisen.explain(shisen.wrap(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)).eval()), X)


# ---- inputs


@refused("inputs", "an image and a vector, and nothing said about the vector")
def missing_input(folder: Path) -> None:
    shisen.wrap(Two())


@works("inputs", "an image and a constant vector")
def constant_input(folder: Path) -> None:
    net = Two().eval()
    model = shisen.wrap(net, inputs={"age": AGE})
    agrees(model, lambda x: net(x, AGE), X)


@works("inputs", "a function from the image to the arguments")
def function_input(folder: Path) -> None:
    net = Two().eval()
    agrees(shisen.wrap(net, inputs=lambda x: (x, AGE.expand(len(x), -1))), lambda x: net(x, AGE), X)


@works("inputs", "a network that takes a dict")
def dict_input(folder: Path) -> None:
    class Takes(Two):
        def forward(self, batch: Any) -> Any:  # type: ignore[override]
            return super().forward(batch["image"], AGE.expand(len(batch["image"]), -1))

    net = Takes().eval()
    agrees(shisen.wrap(net, inputs=lambda x: ({"image": x},)), lambda x: net({"image": x}), X)


@refused("inputs", "a name that the network does not have")
def unknown_input(folder: Path) -> None:
    shisen.wrap(Two(), inputs={"weight": 3})


# ---- outputs


@works("outputs", "a tuple, its second part chosen")
def tuple_output(folder: Path) -> None:
    net = Then(lambda y: (y.sum(), y)).eval()
    close(shisen.wrap(net, output=1).activations(X[None])[0], logits(net.body, X))


@works("outputs", "a dict with logits")
def dict_output(folder: Path) -> None:
    net = Then(lambda y: {"features": y * 2, "logits": y}).eval()
    close(shisen.wrap(net).activations(X[None])[0], logits(net.body, X))


@refused("outputs", "a part of the output that is not there")
def missing_output(folder: Path) -> None:
    shisen.wrap(Then(lambda y: {"a": y}).eval(), output="b").predict(X)


@refused("outputs", "predict of a network of class maps")
def class_maps(folder: Path) -> None:
    shisen.wrap(nn.Conv2d(3, 5, 1)).predict(X)


@works("outputs", ".squeeze() at the end: five classes, not five images")
def squeezed(folder: Path) -> None:
    net = Then(lambda y: y.squeeze(), classes=5).eval()
    found = shisen.wrap(net).predict(X)
    want = torch.tensor(logits(net.body, X)).softmax(0)
    assert len(found) == 5, f"{len(found)} classes"
    assert abs(found[0].probability - float(want.max())) < 1e-5, found[0]


@works("outputs", "one number, said to be a number")
def regression(folder: Path) -> None:
    net = conv_net(classes=1)
    found = shisen.explain(shisen.wrap(net, head="none"), X, "gradient", target=shisen.output(0))
    close(found.values, gradient(net, X, lambda y: y[0, 0]), 1e-4)
    assert abs(found.target.value - float(logits(net, X)[0])) < 1e-6


@works("outputs", "one sigmoid unit: the negative class is its negation")
def one_unit(folder: Path) -> None:
    model = shisen.wrap(conv_net(classes=1), head="sigmoid", labels=["no", "yes"])
    yes, no = (shisen.explain(model, X, "gradient", target=k).values for k in ("yes", "no"))
    close(no, -yes)


@refused("outputs", "labels of another number than the classes")
def wrong_labels(folder: Path) -> None:
    shisen.wrap(conv_net(), labels=["cat", "dog"]).predict(X)


# ---- targets


@works("targets", "a score function whose Σ gradient · output is zero: cosine similarity by occlusion")
def cosine(folder: Path) -> None:
    net, e = conv_net(), torch.tensor([1.0, -0.5, 0.25])

    def alike(y: Any) -> Any:
        return nn.functional.cosine_similarity(y, e, dim=-1)

    found = shisen.explain(shisen.wrap(net, head="none"), X, "occlusion", target=alike, window=8, stride=8)
    assert abs(found.target.value - float(alike(net(_t(X)))[0])) < 1e-6
    assert np.abs(found.values).max() > 1e-4  # Σ gradient · output would leave rounding noise
    close(
        shisen.explain(shisen.wrap(net, head="none"), X, "gradient", target=alike).values,
        gradient(net, X, lambda y: alike(y).sum()),
        1e-4,
    )


def _t(x: Any) -> Any:
    return torch.tensor(x).permute(2, 0, 1)[None]


@works("targets", "a score function for one row, as in other libraries")
def one_row(folder: Path) -> None:
    net = conv_net()
    found = shisen.explain(shisen.wrap(net), X, "gradient", target=lambda y: y[2] - y[0])
    close(found.values, gradient(net, X, lambda y: y[0, 2] - y[0, 0]), 1e-4)


@works("targets", "a cotangent with the score it belongs to")
def cotangent(folder: Path) -> None:
    net = conv_net()
    own = shisen.cotangent(lambda y: 2 * y, value=lambda y: (y**2).sum(-1))
    found = shisen.explain(shisen.wrap(net), X, "gradient", target=own)
    close(found.values, gradient(net, X, lambda y: (y**2).sum()), 1e-4)
    assert abs(found.target.value - float((logits(net, X) ** 2).sum())) < 1e-5


@works("targets", "a score that cannot be differentiated, by occlusion")
def not_differentiable(folder: Path) -> None:
    model = shisen.wrap(conv_net())
    found = shisen.explain(model, X, "occlusion", target=lambda y: float(y[0, 1].item()))
    close(found.values, shisen.explain(model, X, "occlusion", target=1).values, 1e-4)


@refused("targets", "a score that cannot be differentiated, by gradients")
def no_gradient(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net()), X, "gradient", target=lambda y: y[:, 1].detach())


@refused("targets", "a function that returns one number per class")
def no_score(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net()), X, "gradient", target=lambda y: y * 2)


@works("targets", "labels as a tensor, one per image")
def tensor_labels(folder: Path) -> None:
    model = shisen.wrap(conv_net())
    found = shisen.explain(model, [X, X], "gradient", target=torch.tensor([2, 0]))
    close(found[0].values, shisen.explain(model, X, "gradient", target=2).values)
    close(found[1].values, shisen.explain(model, X, "gradient", target=0).values)


@refused("targets", "one-hot labels")
def one_hot(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net()), [X, X], target=torch.eye(3)[:2])


@refused("targets", "a class by name, of a model without labels")
def name_without_labels(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net()), X, target="cat")


@works("layers", "the layer as a module")
def layer_object(folder: Path) -> None:
    net = conv_net()
    a, b = (shisen.explain(shisen.wrap(net), X, layer=which) for which in (net[1], "1"))
    close(a.values, b.values)


@refused("layers", "a module of another network")
def foreign_layer(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net()), X, layer=nn.ReLU())


@refused("layers", "a layer that does not exist")
def unknown_layer(folder: Path) -> None:
    shisen.explain(shisen.wrap(conv_net()), X, layer="conv9")


@works("layers", "segmentation: the default layer is not the class map")
def segmentation_default(folder: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1)).eval()
    assert shisen.wrap(net, input_shape=(16, 16, 3), head="none").default_layer == "1"


@refused("layers", "gradients of a graph that .detach() cuts")
def cut_graph(folder: Path) -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = conv_net()

        def forward(self, x: Any) -> Any:
            return self.body(x.detach())

    shisen.explain(shisen.wrap(Cut().eval()), X, "gradient")


# ---- states


@works("states", "a network in training mode, frozen, inside inference_mode: right and restored")
def states(folder: Path) -> None:
    net = nn.Sequential(*conv_net()[:6], nn.Dropout(0.5), conv_net()[6]).train()
    for p in net.parameters():
        p.requires_grad_(False)
    reference = conv_net()
    with torch.inference_mode():
        found = shisen.explain(shisen.wrap(net), X, "gradient", target=1)
    close(found.values, gradient(reference, X, lambda y: y[0, 1]), 1e-4)
    assert net.training
    assert not any(p.requires_grad for p in net.parameters())


@works("states", "double precision")
def double(folder: Path) -> None:
    net = conv_net().double()
    close(shisen.wrap(net).activations(X[None])[0], logits(conv_net(), X))


@works("states", "DataParallel and torch.compile around a network")
def around(folder: Path) -> None:
    for net in (nn.DataParallel(conv_net()), torch.compile(conv_net())):
        close(shisen.wrap(net).activations(X[None])[0], logits(conv_net(), X))


@works("states", "eight wraps of one network in eight threads")
def threads(folder: Path) -> None:
    net = conv_net()
    want, found, errors = gradient(net, X, lambda y: y[0, 1]), [], []

    def run() -> None:
        try:
            model = shisen.wrap(net)
            found.extend(shisen.explain(model, X, "gradient", target=1).values for _ in range(5))
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=run) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors[:1]
    assert len(found) == 40
    for one in found:
        close(one, want, 1e-4)


@works("states", "a photo file and explain, compare and predict in one go")
def verbs(folder: Path) -> None:
    model = shisen.wrap(conv_net(), preprocess={"size": 16, "mean": 0.5, "std": 0.5})
    path = photo(folder)
    assert model.predict(path)[0].index == shisen.explain(model, path).target.indices[0]
    assert shisen.compare(model, path, methods=["gradient", "grad_cam"]) is not None
