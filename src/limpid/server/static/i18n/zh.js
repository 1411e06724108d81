// 页面上的中文。
export const zh = {
  code: "zh",
  skip: "跳到正文", pages: "页面", chat: "对话", reading: "读与填", attention: "注意力", steps: "逐步计算", embeddings: "嵌入", runs: "训练", playground: "游乐场", perceptron: "感知机", lessons: "课程", close: "关闭", retry: "重试", loading: "正在连接服务器……", noServer: "连不上服务器。页面上的内容不会丢失。",
  "theme.auto": "配色：跟随系统", "theme.light": "配色：浅色", "theme.dark": "配色：深色",
  "key.title": "这台服务器需要密钥", "key.why": "密钥由启动服务器的人设定。它只留在这个标签页里，也只发给这台服务器。", "key.label": "API 密钥", "key.go": "继续",
  shortcuts: "快捷键", about: "limpid {version}。这一页上的一切都在本机计算。",
  "keys.say": "开始输入", "keys.send": "发送；在候选列表中：从这里分叉", "keys.line": "换行", "keys.stop": "停止回答；关闭面板", "keys.new": "新对话", "keys.token": "在回答里：逐个词元移动", "keys.alternative": "在面板里：逐个候选移动", "keys.fork": "从该候选继续", "keys.panel": "打开或关闭面板", "keys.help": "本列表",

  conversations: "对话列表", newChat: "新对话", search: "搜索", noHistory: "这台服务器不保存历史：关掉页面，对话就没了。", nothingFound: "没有找到。", noChats: "对话会保存在这里，就在本机。", untitled: "未命名",
  exportAll: "全部导出", export: "导出", import: "导入", rename: "重命名", delete: "删除", keep: "保留", sure: "删除这个对话？",
  broughtIn: "已导入 {n} 个对话。", notBroughtIn: "这个文件无法导入。{text}", notSaved: "对话没能保存：{text}", notOpened: "对话打不开：{text}", chatGone: "那个对话已经不在了；这是一个新对话。",
  keptAside: "历史文件已损坏，原文件保存为 {path}，并新建了一个。",

  messages: "消息", toEnd: "回到最新", earlierMessages: "更早的 {n} 条消息", you: "你", yourText: "你的文字", answerOf: "{model} 的回答", tokensOf: "回答，共 {n} 个词元；用方向键逐个查看", answering: "模型正在回答。",
  edit: "编辑", askAgain: "重新提问", cancel: "取消", again: "换一个回答", continue: "继续", stop: "停止", copy: "复制", copied: "已复制", source: "显示原文，不排版", branches: "分支", earlier: "上一个分支", later: "下一个分支",
  forked: "分叉", broken: "回答在这里中断了。", noAnswer: "没有收到回答。", saidNothing: "它什么也没说就结束了。", brokeOff: "回答到一半时连接断开了。已收到的文字都在；点“重试”会从断开处一字不差地接着写。", modelGone: "{model} 已被卸下，不再作答。请在下面另选一个模型；说过的话都还在。", replaced: "页面打开期间，{model} 换成了另一份权重。之后的回答来自新模型。",
  dropped: "最早的 {n} 条消息超出了模型 {context} 个词元的上下文，没有再读入。",
  pace: "{pace} 词元/秒", contextUsed: "上下文用了 {used} / {context} 个词元", keepAnswer: "用这个回答继续", keptAnswer: "正用这个回答继续",
  template: "模型读到的内容", "template.title": "模型读到的内容", "template.what": "共 {n} 个词元（上限 {context}），与送入模型的完全一致；控制词元已标出。",
  "stage.pretrain": "预训练", "stage.sft": "微调", "stage.grpo": "强化学习", "stage.ppo": "强化学习", "stage.dpo": "偏好优化", "stage.import": "导入",

  say: "说点什么", sayText: "写下开头", send: "发送", mode: "方式", "mode.chat": "对话", "mode.text": "续写", model: "模型", rival: "并排的第二个模型", alone: "单独", beside: "并排 {model}",
  "silent.encoder": "{model} 是编码器：它填出被遮住的词元，不生成文字。", "silent.classifier": "{model} 是分类器：它给文字分类，不生成文字。", "noSpeaker.serve": "要对话，请启动一个语言模型：limpid serve runs/demo",
  noModel: "这里没有启动模型。这几页不需要模型：", "noModel.serve": "要在这里看到模型，可以在“训练”页载入一个检查点，或者启动时就带上一个运行：limpid serve runs/demo",
  noSpeaker: "这里的模型都不能逐词元作答。请启动一个语言模型：limpid serve runs/demo",
  welcome: "和模型说话，看清它在想什么", "welcome.what": "回答里的每个词元都按模型的把握着色。点一个，看它本来还可能说什么；换一个，它就从那里接着写下去。",
  "welcome.text": "你写开头，模型接着写", "welcome.textWhat": "没有角色，也没有模板：它只看到你写的字，然后一个词元一个词元地续写。",
  "try.chat1": "你好！你是谁？", "try.chat2": "What does dedent do?", "try.chat3": "What is 12 + 30?", "try.text1": "床前明月光，", "try.text2": "Return the number of",

  tint: "着色", "tint.probability": "概率", "tint.entropy": "熵", "tint.rank": "名次", "tint.off": "关闭",
  "scale.probability.low": "100%", "scale.probability.high": "0.1%", "scale.entropy.low": "别无选择", "scale.entropy.high": "全都一样", "scale.rank.low": "第一", "scale.rank.high": "第 1000",
  hint: "点回答里的任何一个词，看看里面。",

  panel: "侧栏", "panel.inspect": "透视", "panel.settings": "设置",
  "inspect.title": "看进一个词元", "inspect.what": "在回答里选一个词元：它有多大把握，还可能说什么，抽样之后又剩下什么，都在这里。选另一个候选，回答就从那里分叉。", "inspect.go": "看它最犹豫的地方", "inspect.none": "这个回答没有保存词元记录。", "inspect.first": "还没有回答，先说点什么吧。",
  token: "词元", before: "前一个词元", after: "后一个词元", place: "第 {at} 个，共 {n} 个词元", probability: "概率", rank: "名次", rankOf: "{rank} / {n}", entropy: "熵", "entropy.what": "选择有多开放：按模型的整个分布计算，单位是奈特", choices: "≈ {n} 个均等的选择", bytes: "字节", controlToken: "控制词元", partOf: "属于", "partOf.what": "这个字的字节分在 {n} 个词元里",
  open: "打开", alternatives: "它本来还可能说", beforeSampling: "模型自己的概率", afterSampling: "抽样设置之后", reach: "条长至 {reach}", rest: "其余 {n} 个词元共占 {share}。", forkAt: "{token}：{numbers}。从它继续", chosenWas: "{token}：{numbers}。抽中的就是它",
  "verdict.yours": "这是你选的：在模型那里排第 {rank}，概率 {share}。", "verdict.sure": "首选，而且很有把握：{share}。", "verdict.likely": "首选，概率 {share}。", "verdict.torn": "虽是首选，只有 {share}：别的也很接近。", "verdict.second": "不是首选：排第 {rank}，概率 {share}。", "verdict.rare": "出人意料：排第 {rank}，概率 {share}。",

  "inside.open": "看看模型内部", "inside.computing": "再读一遍全文……", "inside.later": "等回答结束，就可以看内部。",
  "inside.lens": "逐层看", "inside.lens.what": "如果每一块就是最后一块，它会说什么；这个词元在它那里排第几。", "inside.after": "到这里", "inside.first": "首选", "inside.embedding": "嵌入", "inside.block": "第 {n} 块",
  "inside.looks": "它在看哪里", "inside.looks.what": "除开头和眼前的词元外，看得最专注的那些头。", "inside.looks.none": "前面没有可看的。", "inside.head": "第 {layer} 块，头 {head}", "inside.steps": "从这里逐步计算", "inside.attention": "全部的头",

  parameters: "参数", layersHeads: "层 × 头", context: "上下文", vocabulary: "词表", tokens: "{n} 个词元", system: "系统提示", systemNone: "无", drawing: "词元怎样抽取", offWord: "关", seed: "随机种子", random: "随机", maxTokens: "最多词元", untilEnd: "直到结束", stops: "遇到这些就停", stopsNone: "每行一个", reset: "恢复默认",
  "dial.temperature": "温度", "dial.temperature.what": "0 只取概率最大的词元；大于 1 时，冷门的更容易出现。", "dial.top_k": "Top-k", "dial.top_k.what": "只在概率最大的 k 个里选。", "dial.top_p": "Top-p", "dial.top_p.what": "概率加起来够这么多的最少几个。", "dial.min_p": "Min-p", "dial.min_p.what": "概率至少是最大者的这个比例。", "dial.repetition_penalty": "重复惩罚", "dial.repetition_penalty.what": "出现过的词元，分数除以它。", "dial.frequency_penalty": "频率惩罚", "dial.frequency_penalty.what": "回答里每出现一次就扣这么多。", "dial.presence_penalty": "存在惩罚", "dial.presence_penalty.what": "只要出现过就扣一次。",
  "failure.context_length_exceeded": "文字太长，超出了模型的上下文：", "failure.empty_text": "文字是空的，请至少写一个字。", "failure.rate_limit_exceeded": "排队已满，请稍等再试。", "failure.service_unavailable": "服务器正在载入模型或正在停止，请稍后再试。", "failure.model_not_found": "这里没有这个模型，它可能已被卸下：", "failure.model_unloaded": "这个模型已被卸下，不再作答。", "failure.model_replaced": "这个模型的检查点已被换掉或移走，无法打开，请重启服务器：", "failure.model_stays": "这个模型是启动服务器时指定的，不能卸下。", "failure.model_does_not_generate": "这个模型只读文字，不生成文字。", "failure.checkpoint_gone": "检查点已经不在了：", "failure.checkpoint_not_found": "没有这个检查点：", "failure.run_not_found": "没有这次训练，可能已被移走：", "failure.code_not_agreed": "这次训练会运行不属于 limpid 的代码，需要先读过并同意：", "failure.run_locked": "这次训练正在进行。", "failure.run_not_running": "这里没有正在进行的训练。", "failure.report_not_found": "这次训练没有报告。", "failure.too_many_loaded": "载入的检查点已经够多，请先卸下一个。", "failure.no_memory": "内存不够：", "failure.trace_gone": "这次计算的结果已不再保留，请重新打开。", "failure.no_tokens": "这条回答的词元没有保留。", "failure.chat_not_found": "没有这个对话，可能已被删除。", "failure.history_off": "这个服务器不保存对话。", "failure.runs_off": "这个服务器不显示训练。", "failure.request_too_large": "发送的内容太大：", "failure.request_timeout": "发送得太慢，服务器不再等待。", "failure.headers_too_large": "请求头太大。", "failure.unsupported_media_type": "服务器读不了这种格式：", "failure.invalid_api_key": "密钥不对。", "failure.host_not_allowed": "不能用这个地址访问服务器：", "failure.origin_not_allowed": "只有这个服务器自己的页面可以这样做。", "failure.too_few_points": "符合的词元太少，一张图至少需要三个。", "failure.unknown_url": "没有这个地址：", "failure.method_not_allowed": "这个地址不接受这种请求：", "failure.ours": "服务器出错了：", "failure.yours": "服务器不接受这个请求：",
};
