// What the pages say in English. A pair is [for one, for any other number].
export const en = {
  code: "en",
  skip: "Skip to the content", pages: "Pages", chat: "Chat", reading: "Reading", attention: "Attention", steps: "Step by step", embeddings: "Embeddings", runs: "Runs", playground: "Playground", perceptron: "Perceptron", lessons: "Lessons", close: "Close", retry: "Try again", loading: "Reaching the server …", noServer: "The server cannot be reached. What is on this page stays.",
  "theme.auto": "Theme: as the system", "theme.light": "Theme: light", "theme.dark": "Theme: dark",
  "key.title": "This server asks for a key", "key.why": "Whoever started it set one. It stays in this tab and goes nowhere but to this server.", "key.label": "API key", "key.go": "Go on",
  shortcuts: "Keys", about: "limpid {version}. Everything on this page is computed on this machine.",
  "keys.say": "Write", "keys.send": "Send; in the list of candidates: fork there", "keys.line": "A new line", "keys.stop": "Stop the answer; close the panel", "keys.new": "A new chat", "keys.token": "In an answer: from token to token", "keys.alternative": "In the inspector: from candidate to candidate", "keys.fork": "Go on with that candidate", "keys.panel": "Open or close the panel", "keys.help": "This list",

  conversations: "Chats", newChat: "New chat", search: "Search", noHistory: "This server keeps no history: a chat lasts as long as this page.", nothingFound: "No chat says this.", noChats: "Chats are kept here, on this machine.", untitled: "Untitled",
  exportAll: "Export all", export: "Export", import: "Import", rename: "Rename", delete: "Delete", keep: "Keep", sure: "Delete this chat?",
  broughtIn: ["{n} chat was brought in.", "{n} chats were brought in."], notBroughtIn: "This file could not be brought in. {text}", notSaved: "The chat could not be saved: {text}", notOpened: "The chat could not be opened: {text}", chatGone: "There is no such chat any more; this is a new one.",
  keptAside: "The history file was damaged. It is kept as {path}, and a new one was begun.",

  messages: "Messages", toEnd: "To the newest", earlierMessages: ["{n} earlier message", "{n} earlier messages"], you: "You", yourText: "Your text", answerOf: "Answer of {model}", tokensOf: ["Answer of {n} token; arrow keys walk through it", "Answer of {n} tokens; arrow keys walk through them"], answering: "The model is answering.",
  edit: "Edit", askAgain: "Ask again", cancel: "Cancel", again: "Another answer", continue: "Continue", stop: "Stop", copy: "Copy", copied: "Copied", source: "As written, without markdown", branches: "Branches", earlier: "Earlier branch", later: "Later branch",
  forked: "forked", broken: "The answer broke off here.", noAnswer: "No answer came.", saidNothing: "It ended at once, without a word.", brokeOff: "The connection ended in the middle of the answer. What came stays; “Try again” goes on from exactly there.", modelGone: "{model} was unloaded and answers no longer. Choose another model below; what was said stays.", replaced: "{model} was replaced by other weights while this page was open. New answers are the new model's.",
  dropped: ["The oldest message no longer fits the model's {context} tokens and was left out.", "The {n} oldest messages no longer fit the model's {context} tokens and were left out."],
  pace: "{pace} tokens/s", contextUsed: "{used} of {context} tokens of context", keepAnswer: "Go on with this one", keptAnswer: "Going on with this one",
  template: "What the model reads", "template.title": "What the model reads", "template.what": ["{n} token of {context}, exactly as it goes in; control tokens are marked.", "{n} tokens of {context}, exactly as they go in; control tokens are marked."],
  "stage.pretrain": "pretrained", "stage.sft": "fine-tuned", "stage.grpo": "RL", "stage.ppo": "RL", "stage.dpo": "preferences", "stage.import": "imported",

  say: "Say something", sayText: "Write the beginning of a text", send: "Send", mode: "Mode", "mode.chat": "Chat", "mode.text": "Text", model: "Model", rival: "A second model beside it", alone: "alone", beside: "beside {model}",
  "silent.encoder": "{model} is an encoder: it fills hidden tokens in and generates no text.", "silent.classifier": "{model} is a classifier: it sorts texts and generates no text.", "noSpeaker.serve": "To chat, serve a language model: limpid serve runs/demo",
  noModel: "No model is served here. These pages need none:", "noModel.serve": "To see one here, load a checkpoint on the page Runs, or start with a run: limpid serve runs/demo",
  noSpeaker: "None of the models served here answers token by token. Serve a language model: limpid serve runs/demo",
  welcome: "Talk with a model, and look inside", "welcome.what": "Every token of its answers is tinted by how sure the model was. Choose one, and see what else it could have said; choose another, and it goes on from there.",
  "welcome.text": "Begin a text; the model goes on", "welcome.textWhat": "No roles and no template: it sees your words and continues them, one token at a time.",
  "try.chat1": "Hello! What can you do?", "try.chat2": "What does dedent do?", "try.chat3": "What is 12 + 30?", "try.text1": "Return the number of", "try.text2": "The detective entered the dark room.",

  tint: "Tint", "tint.probability": "probability", "tint.entropy": "entropy", "tint.rank": "rank", "tint.off": "off",
  "scale.probability.low": "100%", "scale.probability.high": "0.1%", "scale.entropy.low": "one choice", "scale.entropy.high": "all alike", "scale.rank.low": "first", "scale.rank.high": "1,000th",
  hint: "Choose any word of an answer to look inside.",

  panel: "Panel", "panel.inspect": "Inspect", "panel.settings": "Settings",
  "inspect.title": "Inside a token", "inspect.what": "Choose a token in an answer. Here you see how probable it was, what else the model could have said, and what the sampling left of it. Choosing another candidate forks the answer there.", "inspect.go": "Show where it hesitated most", "inspect.none": "The tokens of this answer were not kept.", "inspect.first": "There is no answer yet: say something.",
  token: "Token", before: "Token before", after: "Token after", place: "token {at} of {n}", probability: "Probability", rank: "Rank", rankOf: "{rank} of {n}", entropy: "Entropy", "entropy.what": "How open the choice was: of the model's whole distribution, in nats", choices: "≈ {n} equal choices", bytes: "Bytes", controlToken: "control token", partOf: "Part of", "partOf.what": "whose bytes are spread over {n} tokens",
  open: "Open", alternatives: "What it could have said", beforeSampling: "the model's own", afterSampling: "after sampling settings", reach: "bars to {reach}", rest: ["{share} is left for the other {n} token.", "{share} is left for the other {n} tokens."], forkAt: "{token}: {numbers}. Go on with this one", chosenWas: "{token}: {numbers}. This one was drawn",
  "verdict.yours": "Your choice: the model's number {rank}, with {share}.", "verdict.sure": "Its first choice, and it was sure: {share}.", "verdict.likely": "Its first choice, with {share}.", "verdict.torn": "Its first choice, but only with {share}: others were close.", "verdict.second": "Not its first choice: number {rank}, with {share}.", "verdict.rare": "A surprise: number {rank}, with {share}.",

  "inside.open": "Look inside the model here", "inside.computing": "One more pass over the text …", "inside.later": "When the answer is over, one can look inside.",
  "inside.lens": "Layer by layer", "inside.lens.what": "What each block would have said if it were the last, and how this token stood with it.", "inside.after": "After", "inside.first": "First choice", "inside.embedding": "embedding", "inside.block": "block {n}",
  "inside.looks": "Where it looked", "inside.looks.what": "The heads that looked most at something other than the first token and the last.", "inside.looks.none": "There is nothing earlier to look at.", "inside.head": "block {layer}, head {head}", "inside.steps": "Step by step from here", "inside.attention": "All heads",

  parameters: "Parameters", layersHeads: "Layers × heads", context: "Context", vocabulary: "Vocabulary", tokens: ["{n} token", "{n} tokens"], system: "System prompt", systemNone: "none", drawing: "How tokens are drawn", offWord: "off", seed: "Seed", random: "random", maxTokens: "Most tokens", untilEnd: "until it ends", stops: "Stop before", stopsNone: "one text a line", reset: "Back to the defaults",
  "dial.temperature": "Temperature", "dial.temperature.what": "0 takes the most probable token; above 1 the improbable ones gain.", "dial.top_k": "Top-k", "dial.top_k.what": "Only the k most probable tokens.", "dial.top_p": "Top-p", "dial.top_p.what": "The fewest tokens that together have this probability.", "dial.min_p": "Min-p", "dial.min_p.what": "Tokens at least this fraction as probable as the best.", "dial.repetition_penalty": "Repetition penalty", "dial.repetition_penalty.what": "Divides the scores of tokens seen before.", "dial.frequency_penalty": "Frequency penalty", "dial.frequency_penalty.what": "Taken off for each time a token is in the answer.", "dial.presence_penalty": "Presence penalty", "dial.presence_penalty.what": "Taken off once if it is there at all.",
};
