import { describe, expect, it } from 'vitest'
import { Watchdog } from './watchdog'

/** Looks every 100 ms from `from` to `to` and returns the times at which it asked for a reload. */
function watch(
  dog: Watchdog,
  from: number,
  to: number,
  see: (now: number) => { frameAt: number; advancedAt: number; watching?: boolean },
): number[] {
  const reloads: number[] = []
  for (let now = from; now <= to; now += 100) {
    const { watching = true, ...rest } = see(now)
    if (dog.look({ now, watching, fresh: 1_500, ...rest })) reloads.push(now)
  }
  return reloads
}

describe('watchdog', () => {
  it('asks for a new source when the picture stands 5 s while the playlist goes on', () => {
    expect(watch(new Watchdog(), 0, 5_500, (now) => ({ frameAt: 0, advancedAt: now }))).toEqual([5_000])
  })

  it('is content while pictures come', () => {
    expect(watch(new Watchdog(), 0, 60_000, (now) => ({ frameAt: now, advancedAt: now }))).toEqual([])
  })

  it('waits with a playlist that stands too: the publisher is away', () => {
    expect(watch(new Watchdog(), 0, 60_000, () => ({ frameAt: 10, advancedAt: 0 }))).toEqual([])
  })

  it('gives a publisher who was away the same time as any other', () => {
    const dog = new Watchdog()
    expect(watch(dog, 0, 20_000, () => ({ frameAt: 0, advancedAt: 0 }))).toEqual([])
    expect(watch(dog, 20_100, 24_900, (now) => ({ frameAt: 0, advancedAt: now }))).toEqual([])
    expect(watch(dog, 25_000, 25_200, (now) => ({ frameAt: 0, advancedAt: now }))).toEqual([25_000])
  })

  it('ignores a viewer who paused, and gives them 5 s when they are back', () => {
    const dog = new Watchdog()
    expect(watch(dog, 0, 60_000, (now) => ({ frameAt: 0, advancedAt: now, watching: false }))).toEqual([])
    expect(watch(dog, 60_000, 64_900, (now) => ({ frameAt: 0, advancedAt: now }))).toEqual([])
  })

  it('reloads less and less often', () => {
    const reloads = watch(new Watchdog(), 0, 120_000, (now) => ({ frameAt: 0, advancedAt: now }))
    const pauses = reloads.slice(1).map((at, i) => at - (reloads[i] ?? 0))
    expect(pauses).toEqual([5_000, 10_000, 15_000, 25_000, 45_000])
  })
})
