import type { Path, Stats } from '../engine'

/** What one look at a connection's statistics told; counters count since it began. */
export interface Reading {
  /** Milliseconds, of the statistics' own clock. */
  at: number
  /** Pictures decoded and dropped. */
  decoded: number
  dropped: number
  videoPackets: number
  audioPackets: number
  bytes: number
  lost: number
  /** Seconds spent between first packet and decoded picture, summed over all pictures. */
  processing: number
  /** Seconds that a packet and its answer take; null before it was measured. */
  roundTrip: number | null
  width: number
  height: number
  fps: number
  codecs: string
  /** RTP timestamp of the newest picture shown; null where the browser does not tell. */
  stamp: number | null
}

type Report = Pick<RTCStatsReport, 'forEach' | 'get'>
type Entry = Record<string, unknown> & { type: string }

const num = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : 0)

export function readingOf(report: Report, stamp: number | null): Reading {
  let video: Entry | undefined
  let audio: Entry | undefined
  let transport: Entry | undefined
  let nominated: Entry | undefined
  report.forEach((entry: Entry) => {
    if (entry.type === 'inbound-rtp' && entry.kind === 'video') video = entry
    if (entry.type === 'inbound-rtp' && entry.kind === 'audio') audio = entry
    if (entry.type === 'transport') transport = entry
    // Firefox has no transport entry; its pair in use is the one that was nominated and succeeded.
    if (entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded') nominated = entry
  })
  const pair = (report.get(String(transport?.selectedCandidatePairId)) as Entry | undefined) ?? nominated
  const codec = (entry?: Entry) =>
    String((report.get(String(entry?.codecId)) as Entry | undefined)?.mimeType ?? '').split('/')[1]
  return {
    at: num(video?.timestamp ?? audio?.timestamp),
    decoded: num(video?.framesDecoded),
    dropped: num(video?.framesDropped),
    videoPackets: num(video?.packetsReceived),
    audioPackets: num(audio?.packetsReceived),
    bytes: num(video?.bytesReceived) + num(audio?.bytesReceived),
    lost: num(video?.packetsLost) + num(audio?.packetsLost),
    processing: processingOf(video),
    roundTrip: typeof pair?.currentRoundTripTime === 'number' ? pair.currentRoundTripTime : null,
    width: num(video?.frameWidth),
    height: num(video?.frameHeight),
    fps: num(video?.framesPerSecond),
    codecs: [codec(video), codec(audio)].filter(Boolean).join(', '),
    stamp,
  }
}

/** Older browsers tell its two parts alone. */
function processingOf(video?: Entry): number {
  if (typeof video?.totalProcessingDelay === 'number') return video.totalProcessingDelay
  return num(video?.jitterBufferDelay) + num(video?.totalDecodeTime)
}

/** Means of the time between two readings; null where nothing was decoded or measured. */
export function pathOf(before: Reading, now: Reading): Path | null {
  const pictures = now.decoded - before.decoded
  if (pictures <= 0 || now.roundTrip === null) return null
  return {
    network: now.roundTrip / 2,
    processing: Math.max(0, now.processing - before.processing) / pictures,
    lost: now.lost,
  }
}

export function pictureOf(before: Reading, now: Reading): Stats['level'] {
  const seconds = (now.at - before.at) / 1_000
  const bitrate = seconds > 0 ? ((now.bytes - before.bytes) * 8) / seconds : 0
  const { width, height, fps, codecs } = now
  return { width, height, fps, bitrate, codecs }
}

/**
 * RTP ticks by which time goes on with any new picture. Browsers that miss pictures ask for a key frame, and the server
 * answers with what has come since the last one, in less time than this: while the publisher is away, the same again
 * every three seconds.
 */
const newerBy = 1_350

/** Something new to show or hear came between two readings. Sound counts where there is no picture. */
export function hasNews(before: Reading | undefined, now: Reading): boolean {
  if (now.videoPackets > 0) {
    if (now.decoded <= (before?.decoded ?? 0)) return false
    if (!before || before.stamp === null || now.stamp === null) return true
    return ((now.stamp - before.stamp) | 0) > newerBy
  }
  return before !== undefined && now.audioPackets > before.audioPackets
}
