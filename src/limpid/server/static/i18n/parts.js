// The words of parts that several pages load when they need them.
export const words = {
  en: {
    "code.show": "Show code", "code.title": "The same numbers in Python", "code.what": "This prints what the page shows, from the same checkpoint.",
    "heat.keys": "Arrow keys go from cell to cell", "heat.point": "Point at a cell to read it.",
  },
  zh: {
    "code.show": "看代码", "code.title": "用 Python 得到同样的数", "code.what": "这段代码读同一个检查点，打印的就是页面上的数。",
    "heat.keys": "方向键逐格移动", "heat.point": "指到一格上看它的数值。",
  },
};
