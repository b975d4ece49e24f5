import { beforeEach, describe, expect, it } from 'vitest'
import { LatencyController, returnRate, type LatencySample } from './latency'

const part = 0.2133
const base: LatencySample = {
  now: 0,
  latency: 0.64,
  buffer: 0.5,
  holdBack: 0.64,
  partTarget: part,
  muted: false,
}

describe('latency controller', () => {
  let controller: LatencyController
  beforeEach(() => {
    controller = new LatencyController()
  })
  const rate = (change: Partial<LatencySample>) => controller.decide({ ...base, ...change }).rate

  it('plays at the usual rate near the target', () => {
    expect(rate({})).toBe(1)
    expect(rate({ latency: 0.73 })).toBe(1)
  })

  it('catches up over target + 0.1 s and goes on until the target is reached', () => {
    expect(rate({ latency: 0.76 })).toBe(1.04)
    expect(rate({ latency: 0.7 })).toBe(1.04)
    expect(rate({ latency: 0.645 })).toBe(1)
    expect(rate({ latency: 0.7 })).toBe(1)
  })

  it('does not catch up on the last quarter second of buffer', () => {
    expect(rate({ latency: 0.9, buffer: 0.25 })).toBe(1)
    expect(rate({ latency: 0.9, buffer: 0.26 })).toBe(1.04)
  })

  it('catches up on nothing while a level is being switched', () => {
    expect(rate({ latency: 0.9 })).toBe(1.04)
    controller.switching(0)
    expect(rate({ now: 2_000, latency: 0.9 })).toBe(1)
    expect(rate({ now: 2_600, latency: 0.9 })).toBe(1.04)
  })

  it('takes the whole hold-back again for a switch', () => {
    for (let now = 0; now <= 12_000; now += 100) controller.decide({ ...base, now })
    const eased = controller.decide({ ...base, now: 12_100 }).target
    controller.switching(12_200)
    expect(eased).toBeLessThan(base.holdBack)
    expect(controller.decide({ ...base, now: 12_300 }).target).toBe(base.holdBack)
  })

  it('is brisker far behind or muted', () => {
    expect(rate({ latency: 1.5, buffer: 1.2 })).toBe(1.1)
    expect(rate({ latency: 0.8, muted: true })).toBe(1.1)
  })

  it('slows down rather than run dry', () => {
    expect(rate({ latency: 0.6, buffer: 0.17 })).toBe(1)
    expect(rate({ latency: 0.6, buffer: 0.08 })).toBe(0.7)
    expect(rate({ latency: 2, buffer: 0 })).toBe(returnRate)
  })

  it('gains distance when a returning publisher left it at the very edge', () => {
    expect(rate({ latency: 0.2, buffer: 0.2 })).toBe(returnRate)
    expect(rate({ latency: 0.4, buffer: 0.3 })).toBe(0.65)
    expect(rate({ latency: 0.54, buffer: 0.35 })).toBe(0.85)
    expect(rate({ latency: 0.6, buffer: 0.35 })).toBe(1)
  })

  it('jumps where catching up would take long', () => {
    expect(controller.decide({ ...base, latency: 3.2, buffer: 3 })).toMatchObject({ jump: true, rate: 1 })
    expect(controller.decide({ ...base, latency: 3.1, buffer: 3 }).jump).toBe(false)
  })

  it('moves the target away from the edge after a stall and forgives slowly', () => {
    controller.stalled(0)
    controller.stalled(1_000)
    expect(controller.decide({ ...base, buffer: 0.25, now: 2_000 }).target).toBeCloseTo(0.94)
    expect(controller.decide({ ...base, buffer: 0.25, now: 20_000 }).target).toBeCloseTo(0.94)
    expect(controller.decide({ ...base, buffer: 0.25, now: 21_000 }).target).toBeCloseTo(0.79)
    expect(controller.decide({ ...base, buffer: 0.25, now: 26_000 }).target).toBeCloseTo(0.64)
    for (let i = 0; i < 50; i++) controller.stalled(30_000)
    expect(controller.decide({ ...base, buffer: 0.25, now: 30_000 }).target).toBeCloseTo(2.14)
  })

  it('keeps a second in hand where media comes in whole segments', () => {
    const classic = { holdBack: 6, partTarget: 0, latency: 7 }
    expect(rate({ ...classic, buffer: 0.9 })).toBe(1)
    expect(rate({ ...classic, buffer: 1.5 })).toBe(1.1)
  })

  it('gives distance back while parts are on time, and takes it again when they are not', () => {
    const target = (now: number, buffer: number) => controller.decide({ ...base, now, buffer }).target
    for (let now = 0; now <= 12_000; now += 100) target(now, 0.35)
    expect(target(12_100, 0.35)).toBeCloseTo(part * 2.2)
    for (let now = 12_200; now <= 20_000; now += 100) target(now, 0.25)
    expect(target(20_100, 0.25)).toBeCloseTo(part * 2.2)
    for (let now = 20_200; now <= 30_000; now += 100) target(now, 0.15)
    expect(target(30_100, 0.15)).toBeCloseTo(0.64)
  })

  it('gives nothing back before a stall is forgiven', () => {
    controller.stalled(0)
    for (let now = 0; now <= 15_000; now += 100) controller.decide({ ...base, now, buffer: 0.5 })
    expect(controller.decide({ ...base, now: 15_100 }).target).toBeCloseTo(0.79)
  })

  /** Plays parts of 0.2 s that arrive `late(n)` seconds after they are complete, from 1.1 s behind. */
  function simulate(seconds: number, late: (n: number) => number) {
    let position = -0.5
    let driest = Infinity
    let rate = 1
    for (let ms = 0; ms < seconds * 1000; ms += 10) {
      const now = ms / 1000
      const complete = Math.floor(now / 0.2)
      const arrived = (now - complete * 0.2 >= late(complete) ? complete : complete - 1) * 0.2 + 0.6
      const latency = now + 0.6 - position
      if (ms % 100 === 0)
        rate = controller.decide({ ...base, now: ms, latency, buffer: arrived - position }).rate
      position += 0.01 * rate
      if (now > 1) driest = Math.min(driest, arrived - position)
    }
    return { latency: seconds + 0.6 - position, driest }
  }

  it('comes within half a second of the edge where parts are on time', () => {
    const { latency, driest } = simulate(30, () => 0.03)
    expect(latency).toBeLessThan(0.58)
    expect(driest).toBeGreaterThan(0.15)
  })

  it('keeps from running dry where parts come up to 0.15 s late', () => {
    const { latency, driest } = simulate(120, (n) => ((n * 7919) % 13) / 13 / 6.7)
    expect(latency).toBeLessThan(0.8)
    expect(driest).toBeGreaterThan(0.05)
  })
})
