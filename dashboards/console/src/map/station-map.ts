/**
 * The province on a canvas: borders baked once as paths, ten thousand stations drawn by status, worst on top.
 * No tiles, no framework; zoom and pan never pass through React.
 */
import { geoMercator, geoPath, type GeoProjection } from 'd3-geo';
import { select } from 'd3-selection';
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomTransform } from 'd3-zoom';
import KDBush from 'kdbush';
import { feature } from 'topojson-client';
import { wound } from './winding.ts';
import { STATUSES, STATUS_LOOKS } from '../status.ts';
import type { Borders } from './districts.ts';
import type { StationStatus } from '@waystation/protocol/api';

export interface MapStations {
  longitude: readonly number[];
  latitude: readonly number[];
}

export interface MapColours {
  background: string;
  land: string;
  /** Land outside the chosen city. */
  aside: string;
  /** Stations nobody has heard of: there, but out of the way. */
  dust: string;
  border: string;
  city_border: string;
  label: string;
  halo: string;
  scheme: 'light' | 'dark';
}

interface Label {
  name: string;
  path: Path2D;
  centre: [number, number];
}

interface Place extends Label {
  adcode: string;
  city: string;
  bounds: [[number, number], [number, number]];
}

/** A tap may miss by this much: a mouse is finer than a thumb. */
const REACH_PX = { mouse: 8, touch: 22 } as const;
/** Seen from afar. What nobody has heard of is dust; what needs somebody is the largest. */
const SIZE_PX: Readonly<Record<StationStatus, number>> = {
  unknown: 1.2,
  closed: 3,
  open: 5,
  inUse: 5,
  offline: 6,
  alarm: 7,
};
const LABELS_FROM_SCALE = 2.5;
const STATES_FROM_SCALE = 5;
const SCALE_MAX = 60;
const SMALL_WIDTH_PX = 500;
const LABEL_FONTS = 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif';

export class StationMap {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #topology: Borders;
  #projection: GeoProjection = geoMercator();
  #counties: Place[] = [];
  #cities: Label[] = [];
  #stations: MapStations = { longitude: [], latitude: [] };
  #x = new Float32Array(0);
  #y = new Float32Array(0);
  #tree: KDBush | null = null;
  #states: Uint8Array = new Uint8Array(0);
  /** 1: drawn and to be found; shorter than the stations: the rest is. */
  #visible: Uint8Array = new Uint8Array(0);
  #selected = -1;
  /** What `show` was last asked for; repeated when the size changes. */
  #place = '';
  #transform: ZoomTransform = zoomIdentity;
  #moving = false;
  #colours: MapColours | null = null;
  #width = 0;
  #height = 0;
  #frame = 0;
  readonly #zoom = zoom<HTMLCanvasElement, unknown>();
  /** Milliseconds of the last drawing, for the benchmark and the tests. */
  last_draw_ms = 0;

  constructor(
    canvas: HTMLCanvasElement,
    topology: Borders,
    on: { select(index: number): void; hover(index: number): void },
  ) {
    const context = canvas.getContext('2d');
    if (!context) throw new Error('this browser draws no canvas');
    this.#canvas = canvas;
    this.#context = context;
    this.#topology = topology;
    this.#zoom
      .scaleExtent([1, SCALE_MAX])
      .on('start', () => (this.#moving = true))
      .on('zoom', (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        this.#transform = event.transform;
        this.draw();
      })
      .on('end', () => {
        this.#moving = false;
        this.draw();
      });
    select(canvas).call(this.#zoom);
    canvas.addEventListener('click', (event) =>
      on.select(this.#nearest(event.offsetX, event.offsetY, REACH_PX.touch)),
    );
    canvas.addEventListener('pointermove', (event) => {
      if (event.pointerType !== 'mouse' || event.buttons !== 0) return;
      const at = this.#nearest(event.offsetX, event.offsetY, REACH_PX.mouse);
      canvas.style.cursor = at < 0 ? '' : 'pointer';
      on.hover(at);
    });
    canvas.addEventListener('pointerleave', () => on.hover(-1));
  }

  /** The size in CSS pixels; bakes borders and stations for it. */
  resize(width: number, height: number): void {
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    const ratio = window.devicePixelRatio || 1;
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const counties = feature(this.#topology, this.#topology.objects.counties).features.map(wound);
    const cities = feature(this.#topology, this.#topology.objects.cities).features.map(wound);
    const margin = 12;
    this.#projection = geoMercator().fitExtent(
      [
        [margin, margin],
        [width - margin, height - margin],
      ],
      { type: 'FeatureCollection', features: counties },
    );
    const path = geoPath(this.#projection);
    this.#counties = counties.map((county) => ({
      ...county.properties,
      path: new Path2D(path(county) ?? ''),
      centre: path.centroid(county),
      bounds: path.bounds(county),
    }));
    this.#cities = cities.map((city) => ({
      name: city.properties.name,
      path: new Path2D(path(city) ?? ''),
      centre: path.centroid(city),
    }));
    this.#zoom
      .extent([
        [0, 0],
        [width, height],
      ])
      .translateExtent([
        [0, 0],
        [width, height],
      ]);
    this.setStations(this.#stations);
    this.show(this.#place);
  }

  setStations(stations: MapStations): void {
    this.#stations = stations;
    const count = stations.longitude.length;
    this.#x = new Float32Array(count);
    this.#y = new Float32Array(count);
    for (let i = 0; i < count; i += 1) {
      const [x, y] = this.#projection([stations.longitude[i] ?? 0, stations.latitude[i] ?? 0]) ?? [
        0, 0,
      ];
      this.#x[i] = x;
      this.#y[i] = y;
    }
    this.#tree = null;
    if (count > 0) {
      const tree = new KDBush(count);
      for (let i = 0; i < count; i += 1) tree.add(this.#x[i] ?? 0, this.#y[i] ?? 0);
      this.#tree = tree.finish();
    }
    this.draw();
  }

  setStates(states: Uint8Array, visible: Uint8Array): void {
    this.#states = states;
    this.#visible = visible;
    this.draw();
  }

  setColours(colours: MapColours): void {
    this.#colours = colours;
    this.draw();
  }

  select(index: number): void {
    this.#selected = index;
    this.draw();
  }

  /** Moves to a city (4 digits), a county (6 digits) or, with an empty code, the whole province. */
  show(adcode: string): void {
    this.#place = adcode;
    if (this.#width === 0) return;
    const inside = this.#counties.filter((county) => this.#isInside(county));
    if (adcode === '' || inside.length === 0) {
      this.#place = '';
      select(this.#canvas).call(this.#zoom.transform, zoomIdentity);
      return;
    }
    const left = Math.min(...inside.map(({ bounds }) => bounds[0][0]));
    const top = Math.min(...inside.map(({ bounds }) => bounds[0][1]));
    const right = Math.max(...inside.map(({ bounds }) => bounds[1][0]));
    const bottom = Math.max(...inside.map(({ bounds }) => bounds[1][1]));
    const scale = Math.min(
      SCALE_MAX,
      0.9 / Math.max((right - left) / this.#width, (bottom - top) / this.#height),
    );
    const transform = zoomIdentity
      .translate(this.#width / 2, this.#height / 2)
      .scale(scale)
      .translate(-(left + right) / 2, -(top + bottom) / 2);
    select(this.#canvas).call(this.#zoom.transform, transform);
  }

  #isInside({ adcode, city }: Place): boolean {
    return adcode.startsWith(this.#place) || city.startsWith(this.#place.padEnd(6, '0'));
  }

  zoomBy(factor: number): void {
    select(this.#canvas).call(this.#zoom.scaleBy, factor);
  }

  panBy(x: number, y: number): void {
    select(this.#canvas).call(this.#zoom.translateBy, x / this.#transform.k, y / this.#transform.k);
  }

  /** Where a station is drawn, in CSS pixels of the canvas. */
  position(index: number): [number, number] {
    return this.#transform.apply([this.#x[index] ?? 0, this.#y[index] ?? 0]);
  }

  /** Draws at the next frame, once however often it is asked. */
  draw(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    select(this.#canvas).on('.zoom', null);
  }

  #nearest(px: number, py: number, reach_px: number): number {
    if (!this.#tree) return -1;
    const [x, y] = this.#transform.invert([px, py]);
    const inside = this.#tree.within(x, y, reach_px / this.#transform.k);
    const distance = (i: number) => ((this.#x[i] ?? 0) - x) ** 2 + ((this.#y[i] ?? 0) - y) ** 2;
    return inside
      .filter((i) => this.#visible[i] !== 0)
      .reduce((best, i) => (best < 0 || distance(i) < distance(best) ? i : best), -1);
  }

  #paint(): void {
    const colours = this.#colours;
    if (!colours || this.#width === 0) return;
    const began = performance.now();
    const context = this.#context;
    const ratio = window.devicePixelRatio || 1;
    const { k, x, y } = this.#transform;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = colours.background;
    context.fillRect(0, 0, this.#width, this.#height);
    context.setTransform(ratio * k, 0, 0, ratio * k, ratio * x, ratio * y);
    this.#paintBorders(colours, k);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    STATUSES.forEach((status, digit) => {
      this.#paintStations(
        digit,
        status === 'unknown' ? colours.dust : STATUS_LOOKS[status][colours.scheme],
        status,
      );
    });
    this.#paintLabels(colours, k < LABELS_FROM_SCALE ? this.#cities : this.#counties);
    if (this.#selected >= 0) this.#paintSelected(colours);
    this.last_draw_ms = performance.now() - began;
  }

  #paintBorders(colours: MapColours, k: number): void {
    const context = this.#context;
    context.strokeStyle = colours.border;
    context.lineWidth = 0.6 / k;
    for (const county of this.#counties) {
      const { path } = county;
      context.fillStyle = this.#isInside(county) ? colours.land : colours.aside;
      context.fill(path);
      context.stroke(path);
    }
    context.strokeStyle = colours.city_border;
    context.lineWidth = 1.4 / k;
    for (const { path } of this.#cities) context.stroke(path);
  }

  /** While a gesture runs, or from far away, a filled square is all the eye can tell and half the time to draw. */
  #paintStations(digit: number, colour: string, status: StationStatus): void {
    const context = this.#context;
    const { k, x, y } = this.#transform;
    const size = Math.min(10, SIZE_PX[status] + k * 0.45);
    // Whole pixels: sharp, and nothing to blend.
    const side = Math.round(size);
    const shaped = !this.#moving && k >= STATES_FROM_SCALE;
    context.fillStyle = colour;
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    for (let i = 0; i < this.#x.length; i += 1) {
      if ((this.#states[i] ?? 0) !== digit || this.#visible[i] === 0) continue;
      const px = (this.#x[i] ?? 0) * k + x;
      const py = (this.#y[i] ?? 0) * k + y;
      if (px < -size || py < -size || px > this.#width + size || py > this.#height + size) continue;
      if (shaped) this.#paintShape(status, px, py, size);
      else context.fillRect(Math.round(px - side / 2), Math.round(py - side / 2), side, side);
    }
  }

  #paintShape(status: StationStatus, px: number, py: number, size: number): void {
    const context = this.#context;
    const r = size * 0.6;
    context.beginPath();
    switch (STATUS_LOOKS[status].shape) {
      case 'square':
        context.rect(px - r, py - r, 2 * r, 2 * r);
        break;
      case 'triangle':
        context.moveTo(px, py - r);
        context.lineTo(px + r, py + r);
        context.lineTo(px - r, py + r);
        context.closePath();
        break;
      case 'half':
        context.arc(px, py, r, 0, 2 * Math.PI);
        context.stroke();
        context.beginPath();
        context.arc(px, py, r, -Math.PI / 2, Math.PI / 2);
        break;
      case 'ring':
        context.arc(px, py, r, 0, 2 * Math.PI);
        return context.stroke();
      case 'dot':
        context.arc(px, py, r * 0.6, 0, 2 * Math.PI);
        break;
      case 'circle':
        context.arc(px, py, r, 0, 2 * Math.PI);
        break;
    }
    context.fill();
  }

  #paintLabels(colours: MapColours, places: readonly Label[]): void {
    const context = this.#context;
    context.font = `${this.#width < SMALL_WIDTH_PX ? 10 : 12}px ${LABEL_FONTS}`;
    context.textAlign = 'center';
    context.lineWidth = 3;
    context.strokeStyle = colours.halo;
    context.fillStyle = colours.label;
    for (const { name, centre } of places) {
      const [px, py] = this.#transform.apply(centre);
      if (px < 0 || py < 0 || px > this.#width || py > this.#height) continue;
      context.strokeText(name, px, py);
      context.fillText(name, px, py);
    }
  }

  #paintSelected(colours: MapColours): void {
    const [px, py] = this.position(this.#selected);
    const context = this.#context;
    context.strokeStyle = colours.label;
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(px, py, 11, 0, 2 * Math.PI);
    context.stroke();
  }
}
