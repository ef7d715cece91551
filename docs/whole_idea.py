"""The whole idea, in about a hundred lines that run: `python docs/whole_idea.py`.

A network is a chain of functions. To train it, we need one number for every weight: how much the
loss would change if that weight changed a little. The chain rule gives them all in one walk from
the loss back to the input, and each layer needs to know only its own step of that walk.

So a layer is two functions. `forward` computes its output. `backward` is told how the loss changes
with that output (the error), says how it changes with the input, and, since it is passing by
anyway, moves its own weights a little downhill. That is all of deep learning. The rest is layers.
"""

import torch


class Layer:
    """The contract. A layer remembers its last input, because backward will need it."""

    def __call__(self, input):
        self.last_input = input
        return self.forward(input)

    def forward(self, input):
        raise NotImplementedError

    def backward(self, error, learning_rate):
        """Given dLoss/dOutput, return dLoss/dInput, and learn on the way."""
        raise NotImplementedError


class FullyConnected(Layer):
    """output = input · Wᵀ + b. Every output is a weighted sum of all inputs."""

    def __init__(self, inputs, outputs):
        bound = 5 * (6 / (inputs + outputs)) ** 0.5
        self.weight = torch.empty(outputs, inputs).uniform_(-bound, bound)
        self.bias = torch.zeros(outputs)

    def forward(self, input):
        return input @ self.weight.t() + self.bias

    def backward(self, error, learning_rate):
        # Input j reaches the loss through every output i, each time by the factor W_ij.
        # This comes first: the error belongs to the weights that forward used.
        input_error = error @ self.weight
        # W_ij scales input j into output i: its derivative is their product, over the batch.
        self.weight -= learning_rate * error.t() @ self.last_input
        self.bias -= learning_rate * error.sum(0)
        return input_error


class Tanh(Layer):
    """output = tanh(input): the bend without which a chain of sums would be one sum."""

    def forward(self, input):
        self.output = torch.tanh(input)
        return self.output

    def backward(self, error, learning_rate):
        # tanh' = 1 - tanh². There is nothing to learn here; the rate is left alone.
        return error * (1 - self.output**2)


class MeanSquaredError:
    """loss = mean of (prediction - target)². Here the walk back begins."""

    def forward(self, prediction, target):
        return ((prediction - target) ** 2).mean()

    def backward(self, prediction, target):
        return 2 * (prediction - target) / prediction.numel()


class Sequential(Layer):
    """Layers one after another: forward goes down the list, backward comes up."""

    def __init__(self, layers):
        self.layers = layers

    def forward(self, input):
        for layer in self.layers:
            input = layer(input)
        return input

    def backward(self, error, learning_rate):
        for layer in reversed(self.layers):
            error = layer.backward(error, learning_rate)
        return error


def disc(points):
    """Points in the unit square; 1 within the disc that fills half of it, else -1."""
    inputs = torch.rand(points, 2)
    distance = (inputs - 0.5).pow(2).sum(1, keepdim=True).sqrt()
    inside = distance < 1 / (2 * torch.pi) ** 0.5
    return inputs, inside.float() * 2 - 1


def main():
    """Train on the disc; print and return the accuracy on points it has not seen."""
    torch.manual_seed(0)
    (inputs, targets), (test_inputs, test_targets) = disc(1000), disc(10_000)
    network = Sequential([FullyConnected(2, 25), Tanh(), FullyConnected(25, 1), Tanh()])
    loss = MeanSquaredError()
    for epoch in range(60):
        learning_rate = 0.3 * (1 - epoch / 60)
        for rows in torch.randperm(1000).split(8):
            prediction = network(inputs[rows])
            error = loss.backward(prediction, targets[rows])
            network.backward(error, learning_rate)
    accuracy = ((network(test_inputs) > 0) == (test_targets > 0)).float().mean().item()
    print(f"{accuracy:.1%} of 10,000 new points are on the right side of the circle")
    return accuracy


if __name__ == "__main__":
    main()
