import type { Stream, StreamPatch } from '@/api/types'

/** A stream as it is filled in. */
export interface StreamValues {
  title: string
  slug: string
  description: string
  category: string
  tags: string
  visibility: string
  latency: string
  mature: boolean
}

export const emptyStream: StreamValues = {
  title: '',
  slug: '',
  description: '',
  category: '',
  tags: '',
  visibility: 'public',
  latency: 'low',
  mature: false,
}

export function valuesOf(stream: Stream): StreamValues {
  const { title, slug, description, category, tags, visibility, latency, mature } = stream
  return { title, slug, description, category, tags: tags.join(', '), visibility, latency, mature }
}

/** Tags between commas of either script, without repetitions. */
export function tagsOf(text: string): string[] {
  return [
    ...new Set(
      text
        .split(/[,，、]/)
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  ]
}

/** What differs: nobody else's change of another value is overwritten. */
function differences<V extends object>(before: V, now: V): Partial<V> {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
  return Object.fromEntries(
    Object.entries(now).filter(([key, value]) => !same(value, before[key as keyof V])),
  ) as Partial<V>
}

/** What differs, in the form of the API. */
export function changesOf(before: StreamValues, now: StreamValues): StreamPatch {
  const { tags, ...rest } = differences(before, now)
  return { ...rest, ...(tags === undefined ? {} : { tags: tagsOf(tags) }) }
}

/** What is kept of broadcasts, as it is filled in. Times are seconds, as selections have them. */
export interface KeepValues {
  record: boolean
  replay_visibility: string
  dvr_s: string
  resume_window_s: string
}

export function keepOf({ record, replay_visibility, dvr_s, resume_window_s }: Stream): KeepValues {
  return { record, replay_visibility, dvr_s: String(dvr_s), resume_window_s: String(resume_window_s) }
}

export function keepChanges(before: KeepValues, now: KeepValues): StreamPatch {
  const { dvr_s, resume_window_s, ...rest } = differences(before, now)
  return {
    ...rest,
    ...(dvr_s === undefined ? {} : { dvr_s: Number(dvr_s) }),
    ...(resume_window_s === undefined ? {} : { resume_window_s: Number(resume_window_s) }),
  }
}

/** Seconds to choose from: the usual ones, and what is set now should it be another. */
export function choices(usual: readonly number[], now: string): number[] {
  return [...new Set([...usual, Number(now)])].sort((a, b) => a - b)
}

/** By what may be published to a stream; the order is that of the API. */
export const protocols = ['rtmp', 'rtmps', 'whip', 'rtsp', 'srt'] as const

/** What a stream asks of its publishers, as it is filled in. */
export interface RuleValues {
  /** None: any. */
  protocols: string[]
  /** kbit/s, as encoders name it; empty: what the server takes. */
  bitrate: string
}

const inOrder = (chosen: readonly string[]) => protocols.filter((one) => chosen.includes(one))

export function rulesOf(stream: Stream): RuleValues {
  const { protocols: allowed = [], max_bitrate_bps: most = null } = stream.publish ?? {}
  return { protocols: inOrder(allowed), bitrate: most === null ? '' : String(most / 1_000) }
}

export function rulesChanges(before: RuleValues, now: RuleValues): StreamPatch {
  const chosen = inOrder(now.protocols)
  const { protocols: changed, bitrate } = differences(before, {
    protocols: chosen,
    bitrate: now.bitrate.trim(),
  })
  if (changed === undefined && bitrate === undefined) return {}
  return {
    publish: {
      ...(changed === undefined ? {} : { protocols: chosen.length ? chosen : null }),
      ...(bitrate === undefined
        ? {}
        : { max_bitrate_bps: bitrate ? Math.round(Number(bitrate) * 1_000) : null }),
    },
  }
}
