"""The wordings of the questions in conversations: for fine-tuning, others for RL, and others for evaluations alone."""

from __future__ import annotations

from typing import NamedTuple


class Phrasings(NamedTuple):
    """Templates with {name}, or {sum} ("3 + 4") or {words} ("3 plus 4").

    The held-out ones never occur in training. RL asks in the ``train`` ones and in those of its own, ``rl``, which
    fine-tuning has not shown: a model that errs only on unfamiliar wordings would have nothing to learn otherwise.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    rl: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """What ``Conversation.phrasing`` indexes: the training ones first."""
        return self.train + self.held_out + self.rl

    @property
    def held_out_indices(self) -> range:
        return range(len(self.train), len(self.train) + len(self.held_out))

    @property
    def rl_indices(self) -> tuple[int, ...]:
        """Those that RL may ask in, its own ones twice, since they teach more."""
        own = range(len(self.train) + len(self.held_out), len(self.all))
        return (*range(len(self.train)), *own, *own)


PHRASINGS: dict[str, Phrasings] = {
    "description": Phrasings(
        (
            "What does {name} do?",
            "what does {name} do",
            "What is {name}?",
            "What is {name} for?",
            "What is {name}() used for?",
            "Describe {name}.",
            "describe {name} in one sentence",
            "Explain {name}.",
            "explain what {name} does",
            "Can you explain {name} to me?",
            "Tell me what {name} does.",
            "tell me about {name}",
            "{name}: what does it do?",
            "{name} does what?",
            "What can I do with {name}?",
            "In Python, what does {name} do?",
            "What does the function {name} do?",
            "what is the purpose of {name}",
            "Could you describe the function {name}?",
            "I want to know what {name} is for.",
            "Please explain the function {name}.",
            "What happens when I call {name}()?",
            "Why would I use {name}?",
            "Give me a short description of {name}.",
        ),
        (
            "Please tell me what the function {name} does.",
            "can you describe what {name} does",
            "What is the function {name} used for?",
            "Could you explain the purpose of {name}?",
        ),
        (
            "What would I do with {name}?",
            "tell me the purpose of {name}",
            "What is the job of {name}?",
            "please describe {name}",
            "Could you tell me what {name} is for?",
            "what is the function {name} good for",
            "Explain the use of {name} in Python.",
            "I do not understand {name}. What does it do?",
            "can you say what {name} does",
            "What effect does {name} have?",
        ),
    ),
    "module": Phrasings(
        (
            "Which module is {name} in?",
            "which module is {name} in",
            "Which module has {name}?",
            "What module contains {name}?",
            "In which module is {name}?",
            "in what module can I find {name}",
            "Where is {name} defined?",
            "Where can I find {name}?",
            "where does {name} live",
            "From which module do I import {name}?",
            "What do I import to use {name}?",
            "{name} is in which module?",
            "{name}: which module?",
            "Tell me the module of {name}.",
            "tell me where {name} is",
            "Name the module that holds {name}.",
            "Which module of Python provides {name}?",
            "Where do I import {name} from?",
            "Please tell me which module {name} is part of.",
            "What is the module of {name}?",
            "Which module does {name}() belong to?",
            "I am looking for {name}. Which module is it in?",
        ),
        (
            "Which module contains {name}?",
            "please tell me the module that has {name}",
            "What module do I import {name} from?",
            "In which module of Python can I find {name}?",
        ),
        (
            "Which module should I import for {name}?",
            "tell me which module has {name}",
            "what module is {name} part of",
            "please name the module of {name}",
            "Where in Python is {name}?",
            "In what module does {name} live?",
            "From where can I import {name}?",
            "I need {name}. What do I import?",
            "can you tell me where {name} is defined",
            "Which part of the library holds {name}?",
        ),
    ),
    "signature": Phrasings(
        (
            "What is the signature of {name}?",
            "what is the signature of {name}",
            "How do I call {name}?",
            "how is {name} called",
            "Which arguments does {name} take?",
            "What arguments does {name}() take?",
            "what are the arguments of {name}",
            "What are the parameters of {name}?",
            "Which parameters does {name} have?",
            "Show me the signature of {name}.",
            "show the arguments of {name}",
            "Give me the signature of {name}.",
            "{name}: signature?",
            "{name} takes which arguments?",
            "signature of {name}",
            "Write the signature of {name}.",
            "Tell me the arguments of {name}.",
            "How should I call the function {name}?",
            "What can I pass to {name}?",
            "I want to call {name}. What are its arguments?",
            "Please show me how to call {name}.",
            "What does a call of {name} look like?",
        ),
        (
            "Please give me the arguments of {name}.",
            "tell me the signature of {name}",
            "Which arguments does the function {name} have?",
            "Can you show me the parameters of {name}?",
        ),
        (
            "what does {name} take",
            "Please tell me the parameters of {name}.",
            "Could you give me the signature of {name}?",
            "how do I write a call of {name}",
            "Which arguments can I give to {name}?",
            "tell me what {name} takes as arguments",
            "What are the arguments that the function {name} has?",
            "Show me how {name} is called.",
            "can you give me the arguments of {name}",
            "I need the signature of {name}.",
        ),
    ),
    "arithmetic": Phrasings(
        (
            "What is {sum}?",
            "what is {sum}",
            "{sum}",
            "{sum} = ?",
            "{sum} =",
            "How much is {sum}?",
            "how much is {words}",
            "What is {words}?",
            "Compute {sum}.",
            "calculate {sum}",
            "Calculate {words}.",
            "Tell me what {sum} is.",
            "Can you work out {sum}?",
            "Please compute {words}.",
            "What does {sum} equal?",
            "{words} is what?",
        ),
        (
            "Please calculate {sum}.",
            "tell me how much {words} is",
            "Can you compute {sum}?",
            "what does {words} equal",
        ),
        (
            "please work out {sum}",
            "can you tell me {words}",
            "What do I get for {sum}?",
            "Find {sum}.",
            "how much does {words} make",
            "Could you calculate {sum}?",
        ),
    ),
    "greeting": Phrasings(
        (
            "Hello!", "hello", "Hello", "Hi!", "hi", "Hi there!", "Hey!", "hey", "Good morning!", "good evening",
            "Good afternoon.", "Hello, how are you?", "Greetings!", "hello there", "Good day!", "Hey, are you there?",
            "hey limpid", "Hi, anybody there?", "hey you", "Hello again!", "Hey there, limpid!", "hi limpid",
            "Hello, limpid.", "Good evening, limpid!", "good day to you", "Hi, nice to meet you!", "hey, how are you",
            "How are you?", "how are you today", "Hello, are you there?", "Morning!", "evening", "Hi again!",
            "Good to see you.", "Welcome!", "hello, hello", "hi hi", "A good morning to you.", "hello everybody",
            "Hey, good afternoon!",
        ),
        (
            "Hello there!", "hi there", "Good evening!", "hey there", "Hi, how are you?", "good morning",
            "Hello, good day!", "hello limpid", "hey, anybody there?", "good afternoon", "Hi, are you there?",
            "Hello, nice to meet you!",
        ),
    ),
    "identity": Phrasings(
        (
            "Who are you?",
            "who are you",
            "What are you?",
            "what are you exactly",
            "What is your name?",
            "Tell me about yourself.",
            "tell me who you are",
            "Introduce yourself.",
            "What kind of model are you?",
            "Are you a language model?",
            "Are you a human?",
            "What is limpid?",
            "What were you trained on?",
            "Who am I talking to?",
            "where do you come from",
            "Describe yourself.",
        ),
        (
            "Who are you exactly?",
            "tell me what you are",
            "Please introduce yourself.",
            "what is your name",
            "What kind of language model are you?",
            "who am I talking to",
        ),
    ),
}  # fmt: skip
