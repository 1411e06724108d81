// The words of the Reading page.
export const words = {
  en: {
    "reading.none": "No encoder and no classifier is served here. Serve one: limpid serve runs/shakespeare-masked/pretrain",
    "reading.text": "A text", "reading.first": "First text", "reading.second": "Second text", "reading.context": "Context", "reading.choices": "Choices, one a line",
    "reading.tokens": "Tokens", "reading.hint": "Choose a token to hide it. The model sees all the others, before and after it, and tells what stands there.", "reading.isHidden": "{token}, place {at}, hidden; show it", "reading.isShown": "{token}, place {at}; hide it",
    "reading.nothingHidden": "Nothing is hidden.", "reading.place": "Place {at}", "reading.right": "Its first choice is what stood there: {token}, with {share}.", "reading.stood": "There stood {token}, to which it gives {share}.",
    "reading.class": "Its class, with {share}.", "reading.chosen": "Its choice, with {share}.", "reading.score": "Its score, in the units of the labels it learnt from.", "reading.attentionOf": "Attention, text {n}",
    "reading.keys.text": "To the text", "reading.keys.token": "From token to token", "reading.keys.hide": "Hide a token, or show it",
  },
  zh: {
    "reading.none": "这里没有编码器，也没有分类器。启动一个：limpid serve runs/shakespeare-masked/pretrain",
    "reading.text": "一段文字", "reading.first": "第一段", "reading.second": "第二段", "reading.context": "上文", "reading.choices": "选项，每行一个",
    "reading.tokens": "词元", "reading.hint": "点一个词元把它遮住。模型看得见前后其余的词元，由此说出那里是什么。", "reading.isHidden": "{token}，位置 {at}，已遮住；点击露出", "reading.isShown": "{token}，位置 {at}；点击遮住",
    "reading.nothingHidden": "没有遮住任何词元。", "reading.place": "位置 {at}", "reading.right": "它的首选正是原来的 {token}，概率 {share}。", "reading.stood": "原来是 {token}，它给出的概率是 {share}。",
    "reading.class": "它判定的类别，概率 {share}。", "reading.chosen": "它的选择，概率 {share}。", "reading.score": "它给的分数，单位与训练标签相同。", "reading.attentionOf": "注意力，第 {n} 段",
    "reading.keys.text": "到文字处", "reading.keys.token": "逐个词元移动", "reading.keys.hide": "遮住或露出一个词元",
  },
};
