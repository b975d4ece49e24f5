import { describe, expect, it } from 'vitest'
import { answers, edgeOf, plain, withStart } from './playlist-text'

const live = `#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-MAP:URI="init_1.mp4"
#EXT-X-PART:DURATION=0.2,URI="part_1_100_0.m4s"
#EXTINF:2.0,
seg_1_100.m4s
#EXTINF:2.0,
seg_1_101.m4s
#EXT-X-PART:DURATION=0.2,URI="part_1_102_0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="part_1_102_1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_1_102_2.m4s"
`

describe('edge of a playlist', () => {
  it('counts segments and the parts after them', () => {
    expect(edgeOf(live)).toEqual({ msn: 101, parts: 2, ended: false })
  })
  it('counts what a delta update skipped', () => {
    const delta = '#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:100\n#EXT-X-SKIP:SKIPPED-SEGMENTS=12\n#EXTINF:2,\nx\n'
    expect(edgeOf(delta)?.msn).toBe(112)
  })
  it('sees the end', () => {
    expect(edgeOf(`${live}#EXT-X-ENDLIST\n`)?.ended).toBe(true)
  })
  it.each(['', '<html>', 'EXTM3U', '#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\n'])('refuses %j', (text) => {
    expect(edgeOf(text)).toBeNull()
  })
  it.each([
    [101, undefined, true],
    [102, undefined, false],
    [102, 1, true],
    [102, 2, false],
    [103, 0, false],
  ])('answers segment %s part %s: %s', (msn, part, yes) => {
    expect(answers({ msn: 101, parts: 2, ended: false }, msn, part)).toBe(yes)
  })
})

describe('plain', () => {
  it('takes delivery directives off and leaves the rest', () => {
    expect(plain('http://h/live/a/index.m3u8?_HLS_msn=3&token=x&_HLS_part=1&_HLS_skip=v2')).toBe(
      'http://h/live/a/index.m3u8?token=x',
    )
  })
})

describe('a start at a programme date', () => {
  const noon = Date.UTC(2026, 0, 1, 12)
  const media = `#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:00:00.000Z
#EXTINF:2.00000,
a
#EXTINF:1.50000,
b
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:01:00.000Z
#EXTINF:2,
c
#EXTINF:2,
d
#EXTINF:2,
e
`
  const startOf = (text: string) => /#EXT-X-START:TIME-OFFSET=([\d.]+),PRECISE=YES/.exec(text)?.[1]

  it.each([
    [0, '0.000'],
    [2_500, '2.500'],
    // Before the first, and while nothing was sent.
    [-9_000, '0.000'],
    [30_000, '3.500'],
    [61_000, '4.500'],
    // The end is not there yet.
    [65_500, '6.500'],
    [99_000, '6.500'],
  ])('%d ms after noon', (ms, offset) => expect(startOf(withStart(media, noon + ms))).toBe(offset))

  it('is near the end of what is over', () => {
    expect(startOf(withStart(`${media}#EXT-X-ENDLIST\n`, noon + 65_500))).toBe('9.000')
  })

  it('leaves all else alone', () => {
    const undated = '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na\n'
    for (const text of [undated, '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n', 'not found', ''])
      expect(withStart(text, noon)).toBe(text)
  })
})
