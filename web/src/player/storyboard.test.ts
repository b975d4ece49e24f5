import { expect, it } from 'vitest'
import { parseStoryboard, tileAt } from './storyboard'

const vtt = `WEBVTT

00:00:00.000 --> 00:00:05.000
storyboard_0.jpg#xywh=0,0,160,90

00:00:05.000 --> 01:00:10.500
storyboard_0.jpg#xywh=160,0,160,90

01:00:10.500 --> 01:00:12.000
no picture here
`
const base = 'http://h/vod/1/storyboard.vtt'

it('reads tiles and finds the one of a moment', () => {
  const tiles = parseStoryboard(vtt, base)
  expect(tiles).toEqual([
    { from: 0, to: 5, url: 'http://h/vod/1/storyboard_0.jpg', x: 0, y: 0, width: 160, height: 90 },
    { from: 5, to: 3610.5, url: 'http://h/vod/1/storyboard_0.jpg', x: 160, y: 0, width: 160, height: 90 },
  ])
  expect(tileAt(tiles, 4.9)?.x).toBe(0)
  expect(tileAt(tiles, 5)?.x).toBe(160)
  expect(tileAt(tiles, 9_999)?.x).toBe(160)
  expect(tileAt([], 1)).toBeNull()
})

it.each(['', '<html>', 'WEBVTT', 'WEBVTT\n\n00:00 --> x\ny'])('finds none in %j', (text) =>
  expect(parseStoryboard(text, base)).toEqual([]),
)
