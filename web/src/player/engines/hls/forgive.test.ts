import { expect, it, vi } from 'vitest'
import { forgive } from './forgive'
import { endsInGap } from './playlist-text'

const segment = (n: number, gap = false) => `#EXTINF:2,\n${gap ? '#EXT-X-GAP\n' : ''}seg_${n}.m4s\n`
const shed = `#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n${segment(7)}${segment(8, true)}`
const back = `${shed}${segment(9)}#EXT-X-PART:DURATION=0.2,URI="p"\n`
const signal = new AbortController().signal
const level = (uri: string, loadError = 1) => ({
  uri: `http://x/${uri}`,
  loadError,
  fragmentError: loadError,
})

it('tells a gap by the newest segment', () => {
  expect(endsInGap(shed)).toBe(true)
  expect(endsInGap(back)).toBe(false)
  expect(endsInGap('#EXTM3U\n')).toBe(true)
})

it('forgives what is back, and nothing that is shed, gone or unreachable', async () => {
  const levels = [level('back'), level('shed'), level('gone'), level('lost')]
  const fetch = vi.fn(async (url: RequestInfo | URL) => {
    if (String(url).endsWith('lost')) throw new TypeError('no network')
    if (String(url).endsWith('gone')) return new Response('', { status: 404 })
    return new Response(String(url).endsWith('back') ? back : shed)
  })
  await forgive(levels, fetch, signal)
  expect(levels.map((l) => [l.loadError, l.fragmentError])).toEqual([
    [0, 0],
    [1, 1],
    [1, 1],
    [1, 1],
  ])
})

it('asks nothing of levels that did no wrong', async () => {
  const fetch = vi.fn()
  await forgive([level('a', 0)], fetch, signal)
  expect(fetch).not.toHaveBeenCalled()
})
