/** A small picture of a video: a part of a sheet, for a span of seconds. */
export interface Tile {
  from: number
  to: number
  url: string
  x: number
  y: number
  width: number
  height: number
}

const times = /^(?:(\d+):)?(\d\d):(\d\d\.\d{3}) --> (?:(\d+):)?(\d\d):(\d\d\.\d{3})/
const place = /^(.+)#xywh=(\d+),(\d+),(\d+),(\d+)$/

/** Reads WebVTT whose cues name parts of pictures; addresses are those of files beside `base`. What is none is left out. */
export function parseStoryboard(text: string, base: string): Tile[] {
  const tiles: Tile[] = []
  if (!text.startsWith('WEBVTT')) return tiles
  const lines = text.split(/\r?\n/)
  lines.forEach((line, index) => {
    const span = times.exec(line)
    const part = span && place.exec(lines[index + 1] ?? '')
    if (!span || !part) return
    const [, file = '', ...numbers] = part
    const [x = 0, y = 0, width = 0, height = 0] = numbers.map(Number)
    const seconds = (h?: string, m?: string, sec?: string) =>
      Number(h ?? 0) * 3600 + Number(m) * 60 + Number(sec)
    const from = seconds(span[1], span[2], span[3])
    const to = seconds(span[4], span[5], span[6])
    tiles.push({ from, to, url: new URL(file, base).href, x, y, width, height })
  })
  return tiles
}

/** The tile that shows a moment; the nearest before it where there is none. */
export function tileAt(tiles: readonly Tile[], seconds: number): Tile | null {
  return tiles.filter(({ from }) => from <= seconds).at(-1) ?? tiles[0] ?? null
}
