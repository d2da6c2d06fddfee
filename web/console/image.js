/**
 * One image: a picture of a channel with a spectrum at a pixel, statistics, histogram, and header.
 */

import { Chart } from './chart.js';
import { Problem, field, freshId, h, offer, select, tabs, write } from './dom.js';
import { bytes, counted, sentence, value } from './format.js';
import { dimensions, moved, pixelAt, placeOf } from './pixels.js';
import { LiveTable, plainTable } from './table.js';
import { PATIENT, Work } from './work.js';

const CAPABILITY = 'chartroom.image@1';

const COLOUR_MAPS = ['inferno', 'viridis', 'magma', 'plasma', 'cubehelix', 'hot', 'grey'];
const STRETCHES = ['linear', 'log', 'sqrt', 'square', 'power', 'gamma', 'asinh', 'sinh'];
const PERCENTILES = ['90', '95', '99', '99.5', '99.9', '99.95', '99.99', '100'];

/** How long a control rests, in milliseconds, before what it says is asked for. */
const REST = 150;

/** Pixels of a picture across; more would not be seen. */
const WIDEST = 1024;

/** Names of statistics as people read them. @type {{[name: string]: string}} */
const STATISTICS = {
  numPixels: 'Pixels',
  nanCount: 'Pixels without value',
  mean: 'Mean',
  sigma: 'Standard deviation',
  rms: 'Root mean square',
  min: 'Minimum',
  max: 'Maximum',
  sum: 'Sum',
  sumSq: 'Sum of squares',
  fluxDensity: 'Flux density',
};

/** @typedef {{ name: string, value: unknown, comment?: string, row: number }} Card */

/**
 * @param {import('./server.js').Server} server
 * @param {{ directory: string, file: string }} place
 * @param {string} back where closing it leads
 * @returns {{ element: HTMLElement, close: () => void }}
 */
export function imagePanel(server, place, back) {
  const problem = new Problem();
  const facts = h('p', { class: 'lead' }, 'Reading the header …');
  const hdu = select([]);
  const channel = h('input', { type: 'number', min: 0, value: 0, inputmode: 'numeric' });
  const slider = h('input', { type: 'range', min: 0, value: 0, 'aria-label': 'Channel' });
  const stokes = select([['0', 'I']]);
  let size = dimensions({ shape: [] });
  let isReady = false;

  /** What every question about the image has in it. */
  const image = () => ({ ...place, ...(hdu.value ? { hdu: hdu.value } : {}) });
  const plane = () => ({
    ...image(),
    channel: Math.min(size.channels - 1, Math.max(0, Math.floor(channel.valueAsNumber) || 0)),
    stokes: Number(stokes.value) || 0,
  });

  const picture = picturePart(server, plane, () => size);
  const statistics = statisticsPart(server, plane);
  const histogram = histogramPart(server, plane, () => size);
  const header = headerPart();
  const parts = [picture, statistics, histogram];

  let shown = 0;
  const tabbed = tabs(
    `Views of ${place.file}`,
    [
      { title: 'Picture', panel: picture.element },
      { title: 'Statistics', panel: statistics.element },
      { title: 'Histogram', panel: histogram.element },
      { title: 'Header', panel: header.element },
    ].map((tab, i) => ({
      ...tab,
      shown: () => {
        shown = i;
        if (isReady) parts[i]?.refresh();
      },
    })),
  );

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let rest;
  const planeChanged = () => {
    parts.forEach((part) => part.outdate());
    clearTimeout(rest);
    rest = setTimeout(() => parts[shown]?.refresh(), REST);
  };
  channel.addEventListener('input', () => {
    if (!Number.isNaN(channel.valueAsNumber)) slider.value = channel.value;
    planeChanged();
  });
  slider.addEventListener('input', () => {
    channel.value = slider.value;
    planeChanged();
  });
  stokes.addEventListener('change', planeChanged);
  hdu.addEventListener('change', () => void readHeader());

  const channelField = h('div', { class: 'channel' }, field('Channel', channel), slider);
  const hduField = field('HDU', hdu);
  const stokesField = field('Polarisation', stokes);
  const heading = h('h2', { id: freshId() }, place.file);

  const closing = new AbortController();
  async function readHeader() {
    try {
      const { info, header: cards } = await server.call('chartroom.files@1', 'info', image(), { signal: closing.signal, budgetMs: 60_000 });
      if (closing.signal.aborted) return;
      size = dimensions(info);
      const last = size.channels - 1;
      channel.max = slider.max = String(last);
      if (channel.valueAsNumber > last) channel.value = slider.value = '0';
      channelField.hidden = last === 0;
      offer(stokes, size.stokes.map((name, i) => [String(i), name]));
      stokesField.hidden = size.stokes.length < 2;
      offer(hdu, info.hdus.map((/** @type {string} */ name) => [name, name]));
      hdu.value = info.hdu;
      hduField.hidden = hdu.options.length < 2;
      const parts = [`${value(size.width)} × ${value(size.height)} pixels`];
      if (size.channels > 1) parts.push(counted(size.channels, 'channel'));
      if (size.stokes.length > 1) parts.push(`polarisations ${size.stokes.join(', ')}`);
      parts.push(bytes(info.size));
      write(facts, `${parts.join(', ')}.`);
      header.show(cards);
      problem.show(undefined);
      isReady = true;
      planeChanged();
    } catch (error) {
      if (closing.signal.aborted) return;
      write(facts, '');
      problem.show(`${place.file} could not be read. ${sentence(error)}`);
    }
  }

  [channelField, stokesField, hduField].forEach((element) => (element.hidden = true));
  tabbed.choose(0);
  void readHeader();
  return {
    element: h(
      'section',
      { class: 'card', 'aria-labelledby': heading.id },
      h('div', { class: 'card-head' }, heading, h('a', { href: back, class: 'button small', 'aria-label': `Close ${place.file}` }, 'Close')),
      facts,
      problem.element,
      h('div', { class: 'toolbar' }, hduField, channelField, stokesField),
      tabbed.element,
    ),
    close() {
      closing.abort();
      clearTimeout(rest);
      parts.forEach(({ work }) => work.abandon());
    },
  };
}

/**
 * @param {import('./server.js').Server} server
 * @param {() => { channel: number }} plane
 * @param {() => ReturnType<typeof dimensions>} size
 */
function picturePart(server, plane, size) {
  const work = new Work();
  const spectral = new Work();
  const colourMap = select(COLOUR_MAPS.map((name) => [name, name]));
  const stretch = select(STRETCHES.map((name) => [name, name]));
  const percentile = select(PERCENTILES.map((number) => [number, `${number} %`]));
  percentile.value = '99.9';
  const img = h('img', { alt: '', draggable: 'false' });
  const across = h('span', { class: 'cross', hidden: true });
  const gamma = h('input', { type: 'number', min: 0.1, max: 10, step: 0.1, value: 2 });
  const gammaField = field('Exponent', gamma);
  gammaField.hidden = true;
  const range = h('p', { class: 'range' });
  const x = h('input', { type: 'number', min: 0, inputmode: 'numeric', required: true });
  const y = h('input', { type: 'number', min: 0, inputmode: 'numeric', required: true });
  const place = h('div', {
    class: 'picture',
    role: 'application',
    tabindex: 0,
    'aria-label': 'Picture. Arrow keys move the cross hairs, with Shift ten pixels at a time; Enter takes the spectrum.',
    onclick: (/** @type {MouseEvent} */ event) => {
      const box = img.getBoundingClientRect();
      if (box.width === 0) return;
      choose(pixelAt(size(), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height));
      void spectrum();
    },
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const step = event.shiftKey ? 10 : 1;
      /** @type {{[key: string]: [number, number] | undefined}} */
      const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
      const move = steps[event.key];
      if (!move && event.key !== 'Enter') return;
      event.preventDefault();
      if (!move) return void spectrum();
      choose(moved(size(), pixel() ?? { x: size().width >> 1, y: size().height >> 1 }, move));
    },
  }, img, across);
  place.hidden = true;
  const chart = new Chart({ title: 'Spectrum', xTitle: 'Coordinate', formatX: (at) => value(at, 7), formatY: (at) => value(at, 4) });
  chart.element.hidden = true;

  /** @param {{ x: number, y: number }} pixel */
  function choose(pixel) {
    x.value = String(pixel.x);
    y.value = String(pixel.y);
    const { right, down } = placeOf(size(), pixel);
    across.hidden = false;
    across.style.left = `${right * 100}%`;
    across.style.top = `${down * 100}%`;
  }

  /** The pixel under the cross hairs. */
  function pixel() {
    const [column, row] = [x.valueAsNumber, y.valueAsNumber];
    return Number.isNaN(column) || Number.isNaN(row) ? undefined : { x: column, y: row };
  }

  async function spectrum() {
    const chosen = pixel();
    if (!chosen) return;
    choose(chosen);
    const where = `at (${chosen.x}, ${chosen.y})`;
    const { channel: _, ...wish } = plane();
    const answer = await spectral.run(`Spectrum ${where}`, (signal, onProgress) =>
      server.call(CAPABILITY, 'spectrum', { ...wish, ...chosen }, { signal, onProgress, budgetMs: PATIENT }),
    );
    if (!answer) return;
    const points = answer.values.map((/** @type {number | null} */ y, /** @type {number} */ i) => [answer.coordinates?.[i] ?? i, y]);
    chart.element.hidden = false;
    const axis = answer.coordinates ? `${answer.axis ?? 'coordinate'} in ${answer.unit || 'its unit'}` : 'channel';
    const unit = answer.valueUnit ? `${answer.valueUnit}, ` : '';
    chart.draw({ series: [{ name: `Spectrum ${where}`, points }], now: `${where}: ${unit}by ${axis}` });
  }

  let isCurrent = false;
  async function refresh() {
    if (isCurrent) return;
    isCurrent = true;
    const width = Math.min(WIDEST, Math.max(64, Math.ceil((place.parentElement?.clientWidth || 512) * devicePixelRatio)));
    const wish = { ...plane(), colourMap: colourMap.value, stretch: stretch.value, percentile: Number(percentile.value), width, ...(stretch.value === 'gamma' ? { gamma: gamma.valueAsNumber || 1 } : {}) };
    const answer = await work.run('Picture', (signal, onProgress) => server.call(CAPABILITY, 'png', wish, { signal, onProgress, budgetMs: PATIENT }));
    if (!answer) return;
    img.src = `data:image/png;base64,${answer.png}`;
    img.alt = `Channel ${wish.channel}, ${wish.colourMap}, ${wish.stretch}, from ${value(answer.min, 4)} to ${value(answer.max, 4)}`;
    place.style.aspectRatio = `${answer.width} / ${answer.height}`;
    place.style.setProperty('--aspect', String(answer.width / answer.height));
    place.hidden = false;
    write(range, `Colours from ${value(answer.min, 4)} to ${value(answer.max, 4)}`);
    x.max = String(size().width - 1);
    y.max = String(size().height - 1);
  }

  const outdate = () => void (isCurrent = false);
  for (const control of [colourMap, stretch, gamma, percentile]) {
    control.addEventListener('change', () => {
      gammaField.hidden = stretch.value !== 'gamma';
      outdate();
      void refresh();
    });
  }
  const element = h(
    'div',
    {},
    h('div', { class: 'toolbar' }, field('Colour map', colourMap), field('Stretch', stretch), gammaField, field('Percentile', percentile)),
    work.element,
    h('div', { class: 'frame' }, place),
    range,
    h(
      'form',
      {
        class: 'toolbar',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          void spectrum();
        },
      },
      field('x', x),
      field('y', y),
      h('button', {}, 'Spectrum'),
    ),
    spectral.element,
    chart.element,
  );
  const both = {
    abandon() {
      work.abandon();
      spectral.abandon();
    },
  };
  return { element, refresh, outdate, work: both };
}

/** @param {import('./server.js').Server} server @param {() => { channel: number }} plane */
function statisticsPart(server, plane) {
  const work = new Work();
  const result = h('div');
  let isCurrent = false;
  async function refresh() {
    if (isCurrent) return;
    isCurrent = true;
    const wish = plane();
    const answer = await work.run('Statistics', (signal, onProgress) =>
      server.call(CAPABILITY, 'statistics', wish, { signal, onProgress, budgetMs: PATIENT }),
    );
    if (!answer) return;
    const order = Object.keys(STATISTICS);
    const rank = (/** @type {string} */ name) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
    const rows = Object.entries(answer.statistics)
      .filter(([, number]) => typeof number === 'number' || number === null)
      .sort(([a], [b]) => rank(a) - rank(b))
      .map(([name, number]) => /** @type {[string, string]} */ ([STATISTICS[name] ?? name, value(/** @type {number | null} */ (number), 8)]));
    result.replaceChildren(plainTable(`Statistics of channel ${wish.channel}`, ['Statistic', 'Value'], rows));
  }
  const outdate = () => void (isCurrent = false);
  return { element: h('div', {}, work.element, result), refresh, outdate, work };
}

/**
 * @param {import('./server.js').Server} server
 * @param {() => { channel: number }} plane
 * @param {() => ReturnType<typeof dimensions>} size
 */
function histogramPart(server, plane, size) {
  const work = new Work();
  const scope = select([['channel', 'This channel'], ['cube', 'Whole cube']]);
  const isLog = h('input', { type: 'checkbox', checked: true });
  const chart = new Chart({
    title: 'Histogram',
    kind: 'bars',
    xTitle: 'Value',
    formatX: (at) => value(at, 4),
    // The logarithm is that of one more, so that a single pixel can be seen; at the marks that makes no difference.
    formatY: (y) => value(!isLog.checked ? y : y > 0 && Number.isInteger(y) ? 10 ** y : Math.round(10 ** y) - 1),
  });
  chart.element.hidden = true;
  /** @type {any} */
  let answer;
  let isCurrent = false;

  async function refresh() {
    if (isCurrent) return;
    isCurrent = true;
    const { channel, ...rest } = plane();
    const isCube = scope.value === 'cube' && size().channels > 1;
    const wish = isCube ? rest : { channel, ...rest };
    const found = await work.run(isCube ? 'Histogram of the whole cube' : `Histogram of channel ${channel}`, (signal, onProgress) =>
      server.call(CAPABILITY, 'histogram', wish, { signal, onProgress, budgetMs: PATIENT }),
    );
    if (!found) return;
    answer = found;
    draw();
    if (found.bins.length === 0) chart.element.hidden = true;
  }

  function draw() {
    if (!answer) return;
    const { bins, firstBinCentre, binWidth, mean, sigma } = answer;
    const height = (/** @type {number} */ count) => (isLog.checked ? Math.log10(count + 1) : count);
    const points = bins.map((/** @type {number} */ count, /** @type {number} */ i) => [firstBinCentre + (i - 0.5) * binWidth, height(count)]);
    chart.element.hidden = false;
    chart.draw({ series: [{ name: 'Pixels', points }], fromZero: true, barWidth: binWidth, now: `mean ${value(mean, 4)}, σ ${value(sigma, 4)}` });
  }

  const outdate = () => void (isCurrent = false);
  scope.addEventListener('change', () => {
    outdate();
    void refresh();
  });
  isLog.addEventListener('change', draw);
  const element = h(
    'div',
    {},
    h('div', { class: 'toolbar' }, field('Of', scope), h('label', { class: 'check' }, isLog, 'Logarithmic counts')),
    work.element,
    chart.element,
  );
  return { element, refresh, outdate, work };
}

function headerPart() {
  /** @type {Card[]} */
  let cards = [];
  const filter = h('input', { type: 'search', autocomplete: 'off', placeholder: 'keyword or text', oninput: () => refresh() });
  const matches = h('p', { class: 'lead', role: 'status' });
  /** @type {LiveTable<Card>} */
  const table = new LiveTable({
    caption: 'Header',
    empty: 'No keyword is like that.',
    key: ({ row }) => String(row),
    columns: [
      { title: 'Keyword', isHeader: true, text: ({ name }) => name },
      { title: 'Value', text: ({ value }) => String(value ?? '') },
      { title: 'Comment', text: ({ comment }) => comment ?? '' },
    ],
  });
  table.table.classList.add('header');
  function refresh() {
    const words = filter.value.toLowerCase().split(/\s+/);
    const found = cards.filter(({ name, value, comment = '' }) => {
      const text = `${name} ${value} ${comment}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    table.update(found);
    write(matches, filter.value ? `${found.length} of ${counted(cards.length, 'entry', 'entries')}` : counted(cards.length, 'entry', 'entries'));
  }
  return {
    element: h('div', {}, h('div', { class: 'toolbar' }, field('Search', filter), matches), table.element),
    /** @param {Omit<Card, 'row'>[]} given */
    show(given) {
      cards = given.map((card, row) => ({ ...card, row }));
      refresh();
    },
  };
}
