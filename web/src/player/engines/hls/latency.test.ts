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

  it('jumps where catching up would take minutes', () => {
    expect(controller.decide({ ...base, latency: 4.7, buffer: 4 })).toMatchObject({ jump: true, rate: 1 })
    expect(controller.decide({ ...base, latency: 4.6, buffer: 4 }).jump).toBe(false)
  })

  it('moves the target away from the edge after a stall and forgives slowly', () => {
    controller.stalled(0)
    controller.stalled(1_000)
    expect(controller.decide({ ...base, now: 2_000 }).target).toBeCloseTo(0.94)
    expect(controller.decide({ ...base, now: 20_000 }).target).toBeCloseTo(0.94)
    expect(controller.decide({ ...base, now: 21_000 }).target).toBeCloseTo(0.79)
    expect(controller.decide({ ...base, now: 26_000 }).target).toBeCloseTo(0.64)
    for (let i = 0; i < 50; i++) controller.stalled(30_000)
    expect(controller.decide({ ...base, now: 30_000 }).target).toBeCloseTo(2.14)
  })

  it('keeps a second in hand where media comes in whole segments', () => {
    const classic = { holdBack: 6, partTarget: 0, latency: 7 }
    expect(rate({ ...classic, buffer: 0.9 })).toBe(1)
    expect(rate({ ...classic, buffer: 1.5 })).toBe(1.1)
  })

  it('settles at the target in a simulated stream without ever running dry', () => {
    // Parts of 0.2 s arrive 30 ms after they are complete; playback starts 1.1 s behind.
    let position = -0.5
    let arrived = 0.6
    let driest = Infinity
    for (let ms = 0; ms < 30_000; ms += 10) {
      const now = ms / 1000
      if (now >= arrived - 0.6 + 0.23) arrived += 0.2
      const { rate: applied } = controller.decide({
        ...base,
        now: ms,
        latency: now + 0.6 - position,
        buffer: arrived - position,
      })
      position += 0.01 * applied
      driest = Math.min(driest, arrived - position)
    }
    expect(30 + 0.6 - position).toBeLessThan(0.75)
    expect(driest).toBeGreaterThan(0.2)
  })
})
