import { describe, expect, it } from 'vitest'
import { type EngineEvent, type EngineState, idle, next } from './states'

const run = (...events: EngineEvent[]): EngineState => events.reduce(next, idle)
const load: EngineEvent = { type: 'load' }
const frame: EngineEvent = { type: 'frame' }
const dry: EngineEvent = { type: 'dry' }
const silent: EngineEvent = { type: 'silent' }

describe('engine states', () => {
  it.each<[string, EngineEvent[], string]>([
    ['starts', [load], 'loading'],
    ['plays with the first picture', [load, frame], 'playing'],
    ['stalls when it runs dry', [load, frame, dry], 'stalled'],
    ['plays on after a stall', [load, frame, dry, frame], 'playing'],
    ['waits for a publisher who dropped', [load, frame, dry, silent], 'waiting-for-publisher'],
    ['sees the publisher return', [load, frame, dry, silent, frame], 'playing'],
    ['waits when opened while the publisher is away', [load, silent], 'waiting-for-publisher'],
    ['does not miss a publisher while it has media to play', [load, frame, silent], 'playing'],
    ['waits for a stream to start', [load, { type: 'offline' }], 'waiting-for-publisher'],
    ['starts when the stream does', [load, { type: 'offline' }, load, frame], 'playing'],
    ['ends', [load, frame, { type: 'endlist' }], 'ended'],
    ['goes on with the next session', [load, frame, { type: 'endlist' }, load, frame], 'playing'],
    ['gives up', [load, { type: 'give-up', failure: 'codec' }], 'failed'],
    ['tries again when told', [load, { type: 'give-up', failure: 'media' }, load], 'loading'],
    ['stops', [load, frame, { type: 'unload' }], 'idle'],
  ])('%s', (_name, events, phase) => {
    expect(run(...events).phase).toBe(phase)
  })

  it('tells an absent publisher from one that never was', () => {
    expect(run(load, frame, dry, silent)).toEqual({ phase: 'waiting-for-publisher', absence: 'away' })
    expect(run(load, { type: 'offline' })).toEqual({ phase: 'waiting-for-publisher', absence: 'offline' })
  })

  it('takes no late picture of an old source for a new one', () => {
    expect(run(load, { type: 'offline' }, frame).phase).toBe('waiting-for-publisher')
    expect(run(load, frame, { type: 'endlist' }, frame).phase).toBe('ended')
    expect(run(load, { type: 'give-up', failure: 'media' }, frame).phase).toBe('failed')
  })

  it('returns the same object when nothing changes', () => {
    const playing = run(load, frame)
    expect(next(playing, frame)).toBe(playing)
    expect(next(playing, silent)).toBe(playing)
    const ended = run(load, { type: 'endlist' })
    expect(next(ended, { type: 'endlist' })).toBe(ended)
  })
})
