# %% Back-propagation in 60 lines || 60 行写出反向传播
# A number that remembers how it was made, and so can say what each of its makers is to blame for.
# ---
# 一个记得自己怎样得来的数，于是能说出每个来源该负多少责任。

# %% A number that remembers || 会记事的数
# Every operation makes a new `Value`, remembers its parents, and how much it changes when each of them does (the local
# derivative). `backward` goes from the end to the beginning and multiplies these along the way: the chain rule, in
# reverse. That is all that torch's autograd does, there with tensors.
# ---
# 每次运算造出一个新的 `Value`，记住父母，以及每个父母变一点它变多少（局部导数）。`backward` 从末尾走回开头，一路相乘：
# 反过来用的链式法则。torch 的自动求导做的就是这件事，只不过用张量。
import math


class Value:
    def __init__(self, data, parents=(), slopes=()):
        self.data, self.grad = data, 0.0
        self.parents, self.slopes = parents, slopes

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n):
        return Value(self.data**n, (self,), (n * self.data ** (n - 1),))

    def exp(self):
        y = math.exp(self.data)
        return Value(y, (self,), (y,))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))

    def relu(self):
        return Value(max(0.0, self.data), (self,), (float(self.data > 0),))

    def backward(self):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for parent in v.parents:
                    visit(parent)
                order.append(v)

        visit(self)
        self.grad = 1.0
        for v in reversed(order):  # whoever uses v comes first
            for parent, slope in zip(v.parents, v.slopes, strict=True):
                parent.grad += slope * v.grad

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -as_value(other)

    def __truediv__(self, other):
        return self * as_value(other) ** -1.0

    __radd__, __rmul__ = __add__, __mul__


def as_value(x):
    return x if isinstance(x, Value) else Value(float(x))


# %% One neuron || 一个神经元
# `y = tanh(w1 x1 + w2 x2 + b)`: the derivative of y by each weight, from one walk back.
# ---
# `y = tanh(w1 x1 + w2 x2 + b)`：走一遍回头路，就得到 y 对每个权重的导数。
x1, x2 = Value(2.0), Value(0.0)
w1, w2, b = Value(-3.0), Value(1.0), Value(6.8813735870195432)
y = (w1 * x1 + w2 * x2 + b).tanh()
y.backward()
print(f"y {y.data:.4f}")
for name, v in (("w1", w1), ("w2", w2), ("b", b), ("x1", x1), ("x2", x2)):
    print(f"dy/d{name} {v.grad:.4f}")

# %% The same from torch || 与 torch 相同
# An expression that uses everything, and some values twice.
# ---
# 一个什么都用上的式子，有的数还用两次。
import torch

start = [0.7, -1.3, 2.1]  # in: numbers(3..3 of -3..3): a, b, c || a, b, c


def expression(a, b, c):
    d = (a * b + c).tanh() + (a * a + 1.0).log() * c.exp()
    return (d / (c * c + 0.5) + (a - b).relu()) ** 2


ours = [Value(x) for x in start]
expression(*ours).backward()
theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start]
expression(*theirs).backward()
print("ours ", [round(v.grad, 6) for v in ours])
print("torch", [round(v.grad.item(), 6) for v in theirs])

# %% A net that learns || 会学习的网络
# Exclusive or: no line separates it. Two inputs, four tanh neurons, one output; 300 steps downhill.
# ---
# 异或：没有哪条直线分得开。两个输入，四个 tanh 神经元，一个输出；往下走 300 步。
import random

from limpid.lessons import draw

draws = random.Random(1)
hidden = [[Value(draws.uniform(-1, 1)) for _ in range(3)] for _ in range(4)]
last = [Value(draws.uniform(-1, 1)) for _ in range(5)]
weights = [w for row in hidden for w in row] + last


def net(a, b):
    inner = [(w[0] * a + w[1] * b + w[2]).tanh() for w in hidden]
    return sum((w * h for w, h in zip(last, inner, strict=False)), last[4])


points = [((-1, -1), -1), ((-1, 1), 1), ((1, -1), 1), ((1, 1), -1)]
losses = []
for _ in range(300):
    loss = sum(((net(*at) - wanted) ** 2 for at, wanted in points), Value(0.0)) / 4
    for w in weights:
        w.grad = 0.0
    loss.backward()
    for w in weights:
        w.data -= 0.1 * w.grad
    losses.append(loss.data)
for at, wanted in points:
    print(at, f"should be {wanted:+d}, is {net(*at).data:+.2f}")
draw.curves(range(1, 301), {"loss": losses}, "loss by step")
