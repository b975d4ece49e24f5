import { expect, it } from 'vitest'
import { hasNews, pathOf, pictureOf, type Reading, readingOf } from './path'

const video = {
  id: 'v',
  type: 'inbound-rtp',
  kind: 'video',
  timestamp: 1_000,
  framesDecoded: 30,
  framesDropped: 1,
  packetsReceived: 200,
  packetsLost: 2,
  bytesReceived: 100_000,
  totalProcessingDelay: 1.5,
  frameWidth: 1280,
  frameHeight: 720,
  framesPerSecond: 30,
  codecId: 'c',
}
const rest = [
  { id: 'c', type: 'codec', mimeType: 'video/H264' },
  { id: 't', type: 'transport', selectedCandidatePairId: 'p' },
  { id: 'q', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 9 },
  { id: 'p', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.04 },
]
const report = (...entries: { id: string }[]) =>
  new Map(entries.map((entry) => [entry.id, entry])) as unknown as RTCStatsReport
const first = readingOf(report(video, ...rest), 0)
const later = (change: Partial<Reading>): Reading => ({ ...first, at: 2_000, ...change })

it('reads what a connection tells', () => {
  expect(first).toMatchObject({ decoded: 30, videoPackets: 200, lost: 2, roundTrip: 0.04, codecs: 'H264' })
  expect(readingOf(report(), null)).toMatchObject({ decoded: 0, roundTrip: null, codecs: '', stamp: null })
})

it('finds the pair in use without a transport, and the delay in its parts', () => {
  const parts = { ...video, totalProcessingDelay: undefined, jitterBufferDelay: 1, totalDecodeTime: 0.25 }
  expect(readingOf(report(parts, rest[3] as { id: string }), 0)).toMatchObject({
    roundTrip: 0.04,
    processing: 1.25,
  })
})

it('means the time between two readings', () => {
  const path = pathOf(first, later({ decoded: 60, processing: 3, lost: 5 }))
  expect(path?.network).toBeCloseTo(0.02)
  expect(path?.processing).toBeCloseTo(0.05)
  expect(path?.lost).toBe(5)
  expect(pictureOf(first, later({ bytes: 350_000 }))?.bitrate).toBe(2_000_000)
})

it('says nothing of what was not measured', () => {
  expect(pathOf(first, later({}))).toBeNull()
  expect(pathOf(first, later({ decoded: 60, roundTrip: null }))).toBeNull()
})

it('takes no old picture for news, however often it is decoded', () => {
  expect(hasNews(first, later({ decoded: 31, stamp: 3_000 }))).toBe(true)
  expect(hasNews(first, later({ decoded: 49, stamp: 1_050 }))).toBe(false)
  expect(hasNews(first, later({ decoded: 30, stamp: 3_000 }))).toBe(false)
  expect(hasNews(first, later({ decoded: 31, stamp: null }))).toBe(true)
  const wrapping = { ...first, stamp: 2 ** 32 - 500 }
  expect(hasNews(wrapping, later({ decoded: 31, stamp: 2_500 }))).toBe(true)
})

it('takes sound for news where there is no picture', () => {
  const sound = { ...first, videoPackets: 0, decoded: 0, audioPackets: 50 }
  expect(hasNews(undefined, sound)).toBe(false)
  expect(hasNews(sound, { ...sound, audioPackets: 60 })).toBe(true)
  expect(hasNews(sound, sound)).toBe(false)
})
