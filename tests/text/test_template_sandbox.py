from __future__ import annotations

import time

import jinja2
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from limpid.text.template_sandbox import SECONDS, Sandbox

MESSAGES = [{"role": "user", "content": f" text {i} "} for i in range(100)]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(trim_blocks=True, lstrip_blocks=True)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in messages %}{{ loop.index }}/{{ loop.length }} {{ a.role ~ a['content'] | trim }}{% endfor %}",
        "{% for a in messages if a.role == 'user' %}{{ a.content }}{% else %}none{% endfor %}",
        "{% for k, v in messages[0].items() %}{{ k }}={{ v }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "{% set ns = namespace(n=0) %}{% for a in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n * 2 }}",
        "{% set x %}{{ messages[1].content }}{% endset %}[{{ x }}]{% set y | upper %}abc{% endset %}{{ y }}",
        "{{ 'a-b'.replace('-', '+') ~ ', '.join(['x', 'y']) ~ 'z' * 3 ~ '%s %d' % ('a', 1) ~ 2 ** 3 }}",
        "{{ [1, 2] | join('-') }} {{ 'aXbX' | replace('X', 'Y', 1) }} {{ '%s' | format('f') }}{{ 'a\nb' | indent }}",
        "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('a') + m('b') }}",
        "{{ messages | map(attribute='role') | unique | list }}",
        "{% for a in nothing %}x{% else %}empty{% endfor %}{{ messages[:2] | length }}{{ 'ab'[::-1] }}",
        "{{ '{} {:>5}'.format('a', 'b') }}{{ 'x'.center(5) }}",
    ],
)
def test_what_templates_do_comes_out_as_in_jinja(sandbox: Sandbox, source: str) -> None:
    plain = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    assert sandbox.render(source, messages=MESSAGES) == plain.from_string(source).render(messages=MESSAGES)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in messages %}{% for b in messages %}{% for c in messages %}{% for d in messages %}"
        "{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ 10 ** 9999999 }}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"
        "{% set ns.x = y %}{% endfor %}",
        "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x | replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(99) %}{% set ns.x = ns.x.join('abc') %}{% endfor %}",
        "{{ 'a'.ljust(9999999999) }}",
        "{{ 'a' | center(9999999999) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '%*d' % (9999999999, 1) }}",
        "{{ '{:>9999999999}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 9999999999) }}",
        "{{ '%9999999999d' | format(1) }}",
        "{{ [1] | batch(9999999999, 0) | list }}",
        "{{ lipsum(99999) }}",
        "{{ range(999999999) | list }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
    ],
)
def test_bombs_are_caught_in_time(sandbox: Sandbox, source: str) -> None:
    began = time.thread_time()
    with pytest.raises((jinja2.exceptions.TemplateError, OverflowError, RecursionError)):
        sandbox.render(source, messages=MESSAGES)
    assert time.thread_time() - began < 2 * SECONDS
