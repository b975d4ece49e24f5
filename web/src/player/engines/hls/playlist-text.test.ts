import { describe, expect, it } from 'vitest'
import { answers, edgeOf, plain } from './playlist-text'

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
