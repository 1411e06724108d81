// The words of the perceptron's page.
export const words = {
  en: {
    "percept.title": "To the cinema?", "percept.what": "In 1958 Frank Rosenblatt built a neuron: reasons come in, each with a weight; they are summed up, and it says yes where the sum exceeds a threshold. Networks of today are made of millions of them.",
    "percept.decide": "Decide", "percept.decide.what": "Three reasons speak for going. The weather weighs 8, a good price 4, a companion 4; one goes where the sum is more than 8. Drag, and see which of the eight cases change.",
    "percept.weather": "The weather is good", "percept.price": "The price is good", "percept.companion": "Somebody comes along", "percept.weather.short": "Weather", "percept.price.short": "Price", "percept.companion.short": "Companion",
    "percept.weightOf": "Weight: {name}", "percept.threshold": "Threshold", "percept.exactly": "{label}, as a number", "percept.go": "Go", "percept.stay": "Stay", "percept.yes": "yes", "percept.no": "no", "percept.goes": "The sum {sum} is more than {threshold}: go", "percept.stays": "The sum {sum} is not more than {threshold}: stay",
    "percept.cases": "All eight cases", "percept.sum": "Sum, against the threshold", "percept.so": "So", "percept.equal": "just the threshold", "percept.python": "The same in Python",
    "percept.learn": "Learn it", "percept.learn.what": "Nobody has to choose the weights: they can be learned from what 10,000 people did. Each dot is one of them, blue if they went. The dotted line is the rule that their habits were made with, plus a mood of their own that no rule foresees.",
    "percept.noise": "Mood (noise)", "percept.seen": ["{n} person seen", "{n} people seen"], "percept.some": "25 people", "percept.alone": "Alone", "percept.with": "With a companion", "percept.planeWhat": "{who}: people by weather and price, with the lines of both rules", "percept.axisX": "weather: bad → good", "percept.axisY": "↑ price: good",
    "percept.found": "What was found, as the threshold is called 8", "percept.right": "Right", "percept.rule": "Perceptron rule", "percept.descent": "Gradient descent", "percept.truth": "The rule behind it",
    "percept.learn.note": "The perceptron rule moves only where it is wrong, each time by the same amount; moods keep pushing it about. Gradient descent asks how wrong, and settles where the pushes cancel. No line is right about everyone: what is left are the moods.",
    "percept.layers": "One line is not enough", "percept.layers.what": "Blue where both numbers have the same sign: exclusive or, turned round. One neuron draws one line, and no line separates these points; that ended the first enthusiasm in 1969.", "percept.epoch": "Epoch {n} of {last}", "percept.net.line": "One neuron", "percept.net.linear": "Two layers, linear", "percept.net.bent": "Two layers, tanh", "percept.net.says": "right {right}, loss {loss}",
    "percept.net.line.why": "One line, wherever it lies, is wrong about half of the points.", "percept.net.linear.why": "Sums of sums are sums: without a bend, layers are still one line.", "percept.net.bent.why": "Each hidden neuron bends its line, and the next layer joins the pieces.", "percept.open": "Open in the playground",
  },
  zh: {
    "percept.title": "要不要去看电影？", "percept.what": "1958 年，弗兰克·罗森布拉特造出了一个神经元：理由进来，各带一个权重，加在一起，总和超过阈值就说“是”。今天的神经网络，由千千万万个它组成。",
    "percept.decide": "做决定", "percept.decide.what": "去的理由有三个：天气好，权重 8；价格合适，权重 4；有人同去，权重 4。总和大于 8 就去。拖一拖，看八种情况里哪些变了。",
    "percept.weather": "天气好", "percept.price": "价格合适", "percept.companion": "有人同去", "percept.weather.short": "天气", "percept.price.short": "价格", "percept.companion.short": "同伴",
    "percept.weightOf": "权重：{name}", "percept.threshold": "阈值", "percept.exactly": "{label}，填数字", "percept.go": "去", "percept.stay": "不去", "percept.yes": "是", "percept.no": "否", "percept.goes": "总和 {sum} 大于 {threshold}：去", "percept.stays": "总和 {sum} 不大于 {threshold}：不去",
    "percept.cases": "全部八种情况", "percept.sum": "总和与阈值", "percept.so": "结果", "percept.equal": "刚好等于阈值", "percept.python": "用 Python 算同样的数",
    "percept.learn": "学出来", "percept.learn.what": "权重不必由人来定，可以从一万个人的习惯里学。每个点是一个人，蓝色表示去了。虚点线是生成这些习惯的规则；此外每个人还有自己的心情，哪条规则也料不到。",
    "percept.noise": "心情（噪声）", "percept.seen": "看过 {n} 个人", "percept.some": "看 25 个人", "percept.alone": "一个人", "percept.with": "有同伴", "percept.planeWhat": "{who}：按天气和价格排开的人，以及两种学法画出的线", "percept.axisX": "天气：差 → 好", "percept.axisY": "↑ 价格合适",
    "percept.found": "学到的数（阈值记作 8）", "percept.right": "正确率", "percept.rule": "感知机规则", "percept.descent": "梯度下降", "percept.truth": "背后的规则",
    "percept.learn.note": "感知机规则只在判错时才动，每次动同样多，所以总被心情推来推去。梯度下降要问错了多少，停在各方推力相抵的地方。没有哪条线对每个人都对：剩下的就是心情。",
    "percept.layers": "一条线不够", "percept.layers.what": "两个数同号为蓝，这就是（反过来的）异或。一个神经元只画一条线，而没有哪条线分得开这些点；1969 年，最初的热情就停在这里。", "percept.epoch": "第 {n} 轮，共 {last} 轮", "percept.net.line": "一个神经元", "percept.net.linear": "两层，线性", "percept.net.bent": "两层，tanh", "percept.net.says": "正确率 {right}，损失 {loss}",
    "percept.net.line.why": "只有一条线，放在哪里都会错掉大约一半的点。", "percept.net.linear.why": "和的和还是和：不弯折，几层也还是一条线。", "percept.net.bent.why": "每个隐藏神经元把自己的线弯一弯，下一层把它们接起来。", "percept.open": "在游乐场里打开",
  },
};
