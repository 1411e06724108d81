# %% Layers that learn || 会学习的层
# The playground as a program: the same nets, data and dials that the page has, and what they come to.
# ---
# 把游乐场写成程序：与页面相同的网络、数据和旋钮，看它们学成什么样。

# %% One neuron and the circle || 一个神经元与圆
# A disc of one colour, a ring of the other. One neuron cuts the plane with a straight line, and cannot. Told the
# squares of the two coordinates, the same neuron can: a circle is a line in x² and y².
# ---
# 中间一个圆盘，外面一个圆环，颜色不同。一个神经元只会用直线切，分不开。换成告诉它两个坐标的平方，还是这个神经元，
# 就能分开：圆在 x² 和 y² 里是一条直线。
from limpid.lessons.playground import Playground


def learn(epochs=200, **settings):
    net = Playground(**settings).run(epochs)
    train, test = net.accuracies()
    last = net.history[-1]
    print(f"right {train:.0%} training, {test:.0%} test; test loss {last.test:.3f}")
    return net


learn(dataset="circle", layers=())
learn(dataset="circle", layers=(), inputs=("xSquared", "ySquared"), loss="crossEntropy")

# %% Layers and bends || 层与弯折
# Two hidden layers find such inputs by themselves, if they bend (tanh). Linear layers, however many, are one linear
# neuron.
# ---
# 两个隐藏层自己就能找到这样的输入，前提是会弯（tanh）。线性的层叠再多，也只是一个线性神经元。
neurons = 4  # in: integer(1..8): Neurons in the first layer || 第一层的神经元数
bent = learn(dataset="circle", layers=(neurons, 2), activation="tanh")
flat = learn(dataset="circle", layers=(neurons, 2), activation="linear")

# %% Over-fitting, and a pull against it || 过拟合，以及往回拉的力
# Fifty noisy points and two layers of eight: the net learns each point by heart. The training loss falls, the test loss
# rises. L2 pulls every weight towards 0, and the two stay together.
# ---
# 五十个带噪声的点，两层各八个神经元：网络把每个点都背了下来。训练损失下降，测试损失上升。L2 把每个权重往 0 拉，
# 两者就不再
# 分开。
from limpid.lessons import draw

noisy = {"dataset": "gauss", "noise": 50, "train_percent": 10, "layers": (8, 8)}
by_heart = learn(**noisy, learning_rate=0.1, batch_size=5)
pulled = learn(**noisy, learning_rate=0.1, batch_size=5, regularization="L2", regularization_rate=0.03)
epochs = [one.epoch for one in by_heart.history]
draw.curves(
    epochs,
    {
        "training": [one.train for one in by_heart.history],
        "test": [one.test for one in by_heart.history],
        "test, with L2": [one.test for one in pulled.history],
    },
    "loss by epoch",
)

# %% Open it in the page || 在页面里打开
# The whole state of a net is an address, of this page and of TensorFlow Playground alike; `net.numpy_program()` is
# its program.
# ---
# 网络的全部状态就是一个地址，这里的页面和 TensorFlow Playground 都认得。
print("#/playground?" + bent.address)
