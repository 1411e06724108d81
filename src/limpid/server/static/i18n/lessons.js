// The words of the lessons' pages; their prose comes from the server.
export const words = {
  en: {
    "lessons.what": "Each idea behind it all as a short program: read it, change its numbers, watch what becomes of them. What is printed here was computed just now, by the code that stands above it.",
    "lessons.all": "All lessons", "lessons.list": "Lessons", "lessons.next": "Next", "lessons.before": "Previous", "lessons.lost": "The lesson has stopped ({why}).",
    "lessons.yours": "Your values", "lessons.reset": "The first values again", "lessons.more": "One more", "lessons.less": "One less", "lessons.number": "number {n}", "lessons.cell": "row {row}, column {column}",
    "lessons.copy": "Copy the program to here", "lessons.copied": "Copied", "lessons.prints": "It prints", "lessons.running": "Running …", "lessons.fault": "This step cannot be computed with these values: {why}",
    "lessons.notebook": "Notebook", "lessons.program": "Program", "lessons.csv": "Values as CSV", "lessons.picture": "Save the picture", "lessons.terminal": "On a terminal", "lessons.see": "See it at work", "lessons.code": "Code of step {n}", "lessons.chart": "{title}: {names}",
    "lessons.see.perceptron": "The cinema, with weights to drag", "lessons.see.playground": "The playground", "lessons.see.attention": "Attention of a loaded model", "lessons.see.chat": "Every token's candidates, in the chat", "lessons.see.embeddings": "Maps of a loaded model's word vectors", "lessons.see.steps": "A loaded model, step by step",
  },
  zh: {
    "lessons.what": "背后的每个想法，都是一段短程序：读一读，改改数字，看结果怎么变。这里打印的，都是上面那段代码刚刚算出来的。",
    "lessons.all": "全部课程", "lessons.list": "课程", "lessons.next": "下一课", "lessons.before": "上一课", "lessons.lost": "这一课停了（{why}）。",
    "lessons.yours": "你的数值", "lessons.reset": "恢复原来的数值", "lessons.more": "加一个", "lessons.less": "减一个", "lessons.number": "第 {n} 个数", "lessons.cell": "第 {row} 行第 {column} 列",
    "lessons.copy": "复制到这一步为止的程序", "lessons.copied": "已复制", "lessons.prints": "打印出", "lessons.running": "正在运行……", "lessons.fault": "用这些数值算不了这一步：{why}",
    "lessons.notebook": "笔记本", "lessons.program": "程序", "lessons.csv": "数值存为 CSV", "lessons.picture": "保存图片", "lessons.terminal": "在终端里", "lessons.see": "看它工作", "lessons.code": "第 {n} 步的代码", "lessons.chart": "{title}：{names}",
    "lessons.see.perceptron": "看电影的决定，权重可以拖动", "lessons.see.playground": "神经网络游乐场", "lessons.see.attention": "已加载模型的注意力", "lessons.see.chat": "在对话里看每个词元的候选", "lessons.see.embeddings": "已加载模型的词向量地图", "lessons.see.steps": "一步一步看已加载的模型",
  },
};
