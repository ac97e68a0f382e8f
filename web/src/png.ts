// A chart with its query above and its legend below, as one picture.
import { colour, dash, type Drawn } from './chart';

const margin = 20;
const lineHeight = 20;

export function chartPng(chart: HTMLCanvasElement, title: string, drawn: Drawn[], all: number): Promise<Blob> {
  const ratio = devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const sans = style.getPropertyValue('--sans');
  const width = chart.width / ratio + 2 * margin;
  const cells = placed(drawn, width - 2 * margin, sans);
  const rows = cells.length ? cells[cells.length - 1].row + 1 : 0;
  const top = margin + lineHeight + 8;
  const below = top + chart.height / ratio + 12;
  const canvas = document.createElement('canvas');
  canvas.width = width * ratio;
  canvas.height = (below + rows * lineHeight + margin) * ratio;
  const c = canvas.getContext('2d')!;
  c.scale(ratio, ratio);
  c.fillStyle = style.getPropertyValue('--card');
  c.fillRect(0, 0, canvas.width, canvas.height);
  c.textBaseline = 'middle';
  c.fillStyle = style.getPropertyValue('--ink');
  c.font = `13px ${style.getPropertyValue('--mono')}`;
  c.fillText(title.replace(/\s+/g, ' '), margin, margin + lineHeight / 2, width - 2 * margin);
  c.drawImage(chart, margin, top, chart.width / ratio, chart.height / ratio);
  c.font = `12px ${sans}`;
  for (const cell of cells) {
    const y = below + (cell.row + 0.5) * lineHeight;
    c.strokeStyle = colour(cell.d.slot);
    c.lineWidth = 2;
    c.setLineDash(dash(cell.d.slot));
    c.beginPath();
    c.moveTo(margin + cell.x, y);
    c.lineTo(margin + cell.x + 18, y);
    c.stroke();
    c.fillText(cell.d.name, margin + cell.x + 24, y);
  }
  if (all > drawn.length) c.fillText(`${drawn.length} of ${all} series`, margin, below + (rows + 0.3) * lineHeight);
  return new Promise((done) => canvas.toBlob((b) => done(b!), 'image/png'));
}

/** Legend entries in lines of the picture's width. */
function placed(drawn: Drawn[], width: number, sans: string): { d: Drawn; x: number; row: number }[] {
  const c = document.createElement('canvas').getContext('2d')!;
  c.font = `12px ${sans}`;
  let [x, row] = [0, 0];
  return drawn.map((d) => {
    const w = 24 + c.measureText(d.name).width + 20;
    if (x > 0 && x + w > width) {
      x = 0;
      row++;
    }
    const cell = { d, x, row };
    x += w;
    return cell;
  });
}
