'use strict';
// The grid: rows are made of the data as they are needed, and texts go in as texts.
(() => {
  const byId = (id) => document.getElementById(id);
  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const theme = byId('theme');
  theme.hidden = false;
  theme.addEventListener('click', () => {
    const root = document.documentElement.style;
    const isDark = root.colorScheme ? root.colorScheme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.colorScheme = isDark ? 'light' : 'dark';
  });

  const table = byId('grid');
  if (!table) return;
  const data = JSON.parse(byId('data').textContent);
  const { nights, suites } = data;
  const signs = {}, words = {};
  for (const [letter, sign, word] of data.states) {
    signs[letter] = sign;
    words[letter] = word;
  }
  const last = nights.length - 1;
  const isBad = (letter) => letter !== 'p' && letter !== 'm';
  const took = (tenths) => {
    if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
    const seconds = Math.round(tenths / 10);
    const two = (number) => String(number).padStart(2, '0');
    if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
    const minutes = Math.round(seconds / 60);
    return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} m`;
  };
  const count = (number, what) => `${number} ${what}${number === 1 ? '' : 's'}`;

  // The order of the data is that of what was bad of late.
  const cases = data.cases.map(([suite, name, letters, times], place) => ({
    place, suite, name, letters,
    times: times.split(',').map((text) => (text === '' ? null : Number(text))),
    search: `${suites[suite]} ${name}`.toLowerCase(),
    recent: [...letters.slice(-10)].filter(isBad).length,
  }));
  for (const one of cases) {
    one.took = null;
    for (let night = last; night >= 0 && one.took === null; night -= 1) one.took = one.times[night];
  }

  // The columns: the case, the nights, and two numbers.
  const COLUMNS = nights.length + 3;
  const body = table.tBodies[0];
  const scroll = byId('scroll');
  const cell = byId('cell');
  const controls = byId('controls');
  const rest = byId('rest');
  const [text, suite, state, order, shown] = ['text', 'suite', 'state', 'order', 'shown'].map(byId);
  const open = new Map();
  let list = [], isReversed = false, made = 0;
  let active = { row: 0, column: 0 };

  const heads = {};
  const head = () => {
    const row = make('tr');
    const sortable = (key, className, label) => {
      const th = make('th', className);
      th.scope = 'col';
      const button = make('button', '', label);
      button.type = 'button';
      button.addEventListener('click', () => {
        isReversed = order.value === key ? !isReversed : false;
        order.value = key;
        show();
      });
      th.append(button);
      heads[key] = th;
      row.append(th);
    };
    sortable('name', 'name', 'Case');
    for (const night of nights) {
      const th = make('th', 'night');
      th.scope = 'col';
      th.append(make('span', '', `${night.day} ${night.commit}`.trim()));
      row.append(th);
    }
    sortable('worse', 'n extra', 'Bad of 10');
    sortable('took', 'n extra', 'Took last');
    table.tHead.replaceChildren(row);
  };

  const BACKWARD = { worse: 'ascending', name: 'descending', took: 'ascending' };
  const FORWARD = { worse: 'descending', name: 'ascending', took: 'descending' };
  const compare = {
    worse: (a, b) => a.place - b.place,
    name: (a, b) => a.search < b.search ? -1 : a.search > b.search ? 1 : a.place - b.place,
    took: (a, b) => (b.took ?? -1) - (a.took ?? -1) || a.place - b.place,
  };

  const show = () => {
    const wanted = text.value.trim().toLowerCase();
    const isWanted = (one) => {
      const now = one.letters[last];
      return (!wanted || one.search.includes(wanted))
        && (suite.value === '' || one.suite === Number(suite.value))
        && (state.value === '' || (state.value === 'bad' ? now !== 'p' : now === state.value));
    };
    list = cases.filter(isWanted).sort(compare[order.value]);
    if (isReversed) list.reverse();
    for (const [key, th] of Object.entries(heads)) {
      if (key === order.value) th.setAttribute('aria-sort', (isReversed ? BACKWARD : FORWARD)[key]);
      else th.removeAttribute('aria-sort');
    }
    shown.textContent = list.length === cases.length ? count(list.length, 'case') : `${list.length} of ${count(cases.length, 'case')}`;
    body.replaceChildren();
    made = 0;
    more(60);
    active = { row: 0, column: active.column };
    mark();
  };

  // Rows are made as somebody comes to them: fifty thousand cells at once would be felt.
  const more = (rows) => {
    const piece = document.createDocumentFragment();
    const end = Math.min(list.length, made + rows);
    for (; made < end; made += 1) {
      const one = list[made];
      one.row ??= rowOf(one);
      piece.append(one.row);
      if (open.has(one)) piece.append(open.get(one));
    }
    body.append(piece);
    rest.hidden = made >= list.length;
    rest.textContent = `Show all ${list.length} rows`;
  };
  scroll.addEventListener('scroll', () => {
    if (made < list.length && scroll.scrollTop + 2 * scroll.clientHeight > scroll.scrollHeight) more(60);
  }, { passive: true });
  rest.addEventListener('click', () => more(list.length));

  const rowOf = (one) => {
    const row = make('tr');
    // Only letters that are ours stand in this HTML.
    let cells = '<th></th>';
    for (let night = 0; night <= last; night += 1) {
      const letter = one.letters[night] in signs ? one.letters[night] : 'm';
      cells += `<td class="${letter}" aria-label="${words[letter]}">${signs[letter]}</td>`;
    }
    row.innerHTML = `${cells}<td class="n extra"></td><td class="n extra"></td>`;
    const th = row.cells[0];
    th.scope = 'row';
    th.className = 'name';
    th.setAttribute('aria-expanded', String(open.has(one)));
    th.append(make('span', 'suite', suites[one.suite]), ' ', one.name);
    row.cells[last + 2].textContent = one.recent || '';
    row.cells[last + 3].textContent = one.took === null ? '' : took(one.took);
    row.one = one;
    return row;
  };

  // A row that is opened: the case's durations, and its history in words.
  const svg = (name, attributes, ...children) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const on = (night) => `${night.day}${night.release ? ` on ${night.release}` : ''}`;

  const history = (one) => {
    const letters = [...one.letters];
    const now = letters[last];
    const lines = [];
    const ran = letters.map((letter, night) => ({ letter, night })).filter(({ letter }) => letter !== 'm');
    if (ran.length === 0) return ['It was not run in any of these nights.'];
    const good = ({ letter }) => letter === 'p' || letter === 'l';
    const lastGood = ran.findLast(good);
    const lastRun = ran[ran.length - 1];
    const when = now === 'm' ? `It was not run in the last night. On ${nights[lastRun.night].day} it came to: ${words[lastRun.letter]}.` : `In the last night: ${words[now]}.`;
    lines.push(when);
    if (!good(lastRun)) {
      const since = ran.find(({ night }) => !lastGood || night > lastGood.night);
      lines.push(lastGood
        ? `It has not passed since ${on(nights[since.night])}; it passed last ${on(nights[lastGood.night])}.`
        : 'It has not passed in any of these nights.');
    } else {
      const bad = ran.findLast((found) => isBad(found.letter) && found.letter !== 'l');
      lines.push(bad ? `It failed last ${on(nights[bad.night])} (${words[bad.letter]}).` : 'It has not failed in any of these nights.');
    }
    const parts = data.states.map(([letter, , word]) => [letters.filter((other) => other === letter).length, word]).filter(([number]) => number > 0);
    lines.push(`${count(nights.length, 'night')}: ${parts.map(([number, word]) => `${number} ${word}`).join(', ')}.`);
    return lines;
  };

  const opened = (one) => {
    const row = make('tr', 'more');
    const td = make('td');
    td.colSpan = COLUMNS;
    const inside = make('div', 'inside');
    for (const line of history(one)) inside.append(make('p', '', line));
    const known = one.times.map((time, night) => ({ time, night })).filter(({ time }) => time !== null);
    const longest = Math.max(...known.map(({ time }) => time), 0);
    if (longest > 0) {
      const slowest = known.find(({ time }) => time === longest);
      const sorted = known.map(({ time }) => time).sort((a, b) => a - b);
      const usual = sorted[Math.floor(sorted.length / 2)];
      const words_ = `Durations: usually ${took(usual)}, last ${took(one.took)}, at most ${took(longest)} on ${nights[slowest.night].day}.`;
      inside.append(make('p', '', words_));
      const bars = known.map(({ time, night }) => svg('rect', {
        class: one.letters[night], x: night * 10 + 1, width: 8,
        y: 100 - Math.max(1, (100 * time) / longest), height: Math.max(1, (100 * time) / longest),
      }, svg('title', {}, `${nights[night].day}: ${took(time)}, ${words[one.letters[night]]}`)));
      const plot = make('div', 'plot');
      const picture = svg('svg', { viewBox: `0 0 ${nights.length * 10} 100`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `Duration of ${one.name} by night. ${words_}` }, ...bars);
      plot.append(make('span', 'top', took(longest)), picture);
      const axis = make('div', 'axis');
      axis.setAttribute('aria-hidden', 'true');
      axis.append(make('span', '', nights[0].day), make('span', '', nights[last].day));
      inside.append(plot, axis);
    }
    td.append(inside);
    row.append(td);
    return row;
  };

  const turnOver = (one) => {
    const th = one.row.cells[0];
    if (open.has(one)) {
      open.get(one).remove();
      open.delete(one);
    } else {
      open.set(one, opened(one));
      one.row.after(open.get(one));
    }
    th.setAttribute('aria-expanded', String(open.has(one)));
  };

  // One place in the grid has the focus; the arrow keys move it.
  const place = () => list[active.row]?.row?.cells[active.column];
  let marked = null;
  const mark = () => {
    marked?.removeAttribute('tabindex');
    marked = place();
    marked?.setAttribute('tabindex', '0');
  };
  const isNarrow = () => getComputedStyle(heads.took).display === 'none';
  const move = (row, column) => {
    const right = (isNarrow() ? nights.length + 1 : COLUMNS) - 1;
    active = { row: Math.max(0, Math.min(list.length - 1, row)), column: Math.max(0, Math.min(right, column)) };
    while (made <= active.row && made < list.length) more(60);
    mark();
    marked?.focus({ preventScroll: true });
    reveal();
    tell(list[active.row], active.column);
  };
  // What has the focus is not to lie under the head or the first column.
  const reveal = () => {
    if (!marked) return;
    const at = marked.getBoundingClientRect(), frame = scroll.getBoundingClientRect();
    const top = frame.top + table.tHead.offsetHeight, left = frame.left + heads.name.offsetWidth;
    const bottom = frame.top + scroll.clientHeight, right = frame.left + scroll.clientWidth;
    if (at.top < top) scroll.scrollTop -= top - at.top;
    else if (at.bottom > bottom) scroll.scrollTop += at.bottom - bottom;
    if (active.column > 0) {
      if (at.left < left) scroll.scrollLeft -= left - at.left;
      else if (at.right > right) scroll.scrollLeft += at.right - right;
    }
    // The grid itself may be partly out of sight.
    const seen = marked.getBoundingClientRect();
    if (seen.bottom > innerHeight) scrollBy(0, seen.bottom - innerHeight);
    else if (seen.top < 0) scrollBy(0, seen.top);
  };
  const tell = (one, column) => {
    if (!one) return;
    const night = nights[column - 1];
    const name = `${suites[one.suite]} ${one.name}`;
    if (!night) {
      cell.textContent = name;
      return;
    }
    const time = one.times[column - 1];
    const parts = [night.day, night.time, night.release, words[one.letters[column - 1]], time === null ? '' : took(time)];
    cell.textContent = `${name}: ${parts.filter(Boolean).join(', ')}`;
  };

  table.addEventListener('click', (event) => {
    const at = event.target.closest('th, td');
    const one = at?.parentElement.one;
    if (!one) return;
    active = { row: list.indexOf(one), column: at.cellIndex };
    turnOver(one);
    mark();
    marked.focus({ preventScroll: true });
    tell(one, at.cellIndex);
  });
  body.addEventListener('mouseover', (event) => {
    const at = event.target.closest('th, td');
    if (at?.parentElement.one) tell(at.parentElement.one, at.cellIndex);
  });
  body.addEventListener('focusin', (event) => {
    const at = event.target.closest('th, td');
    const one = at?.parentElement.one;
    if (one) active = { row: list.indexOf(one), column: at.cellIndex };
  });
  const KEYS = {
    ArrowDown: () => move(active.row + 1, active.column),
    ArrowUp: () => move(active.row - 1, active.column),
    ArrowRight: () => move(active.row, active.column + 1),
    ArrowLeft: () => move(active.row, active.column - 1),
    PageDown: () => move(active.row + 15, active.column),
    PageUp: () => move(active.row - 15, active.column),
    Home: () => move(active.row, 0),
    End: () => move(active.row, nights.length),
    Enter: () => turnOver(list[active.row]),
    ' ': () => turnOver(list[active.row]),
    Escape: () => {
      const one = list[active.row];
      if (open.has(one)) turnOver(one);
      else for (const other of [...open.keys()]) turnOver(other);
    },
  };
  body.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS) || list.length === 0) return;
    if (!event.target.parentElement?.one) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.('input, select, textarea')) return;
    event.preventDefault();
    text.focus();
    text.select();
  });
  text.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') {
      if (text.value) {
        text.value = '';
        show();
      } else move(0, 0);
      event.preventDefault();
    } else if (event.key === 'ArrowDown' || event.key === 'Enter') {
      event.preventDefault();
      if (list.length > 0) move(0, 0);
    }
  });

  controls.addEventListener('submit', (event) => event.preventDefault());
  for (const control of [text, suite, state]) control.addEventListener('input', show);
  order.addEventListener('input', () => {
    isReversed = false;
    show();
  });

  // A browser may put back what was chosen before.
  controls.reset();
  controls.hidden = false;
  table.classList.add('whole');
  table.style.setProperty('--nights', nights.length);
  table.setAttribute('role', 'grid');
  table.setAttribute('aria-rowcount', String(cases.length + 1));
  scroll.removeAttribute('tabindex');
  head();
  show();
  // The newest night is in sight, also when the page gets another width, until somebody looks elsewhere.
  let isLeft = false;
  for (const kind of ['wheel', 'pointerdown', 'keydown', 'touchstart']) {
    scroll.addEventListener(kind, () => { isLeft = true; }, { passive: true, once: true });
  }
  const newest = () => {
    table.style.setProperty('--view', `${scroll.clientWidth}px`);
    if (!isLeft) scroll.scrollLeft = scroll.scrollWidth;
  };
  newest();
  new ResizeObserver(newest).observe(scroll);
  performance.mark('grid');
})();
