/**
 * What the engine is doing, as one pure function: state and event in, state out.
 *
 *   idle ─load─► loading ─frame─► playing ◄─frame─ stalled, waiting-for-publisher
 *                   │                │ dry                   ▲ silent
 *                   │ offline        └─────► stalled ────────┘
 *                   ▼
 *        waiting-for-publisher (offline) ─load─► loading        any ─endlist─► ended ─load─► loading
 *                                                               any ─give-up─► failed ─load─► loading
 */
export type Phase = 'idle' | 'loading' | 'playing' | 'stalled' | 'waiting-for-publisher' | 'ended' | 'failed'

/** Why a publisher is awaited: it was never seen by this page, or it was and has gone. */
export type Absence = 'offline' | 'away'

/** Why the engine gave up. `codec` and `unsupported` are final on this device, `gone` for all, `media` may be tried again. */
export type Failure = 'codec' | 'unsupported' | 'media' | 'gone'

export type EngineState =
  | { phase: 'idle' | 'loading' | 'playing' | 'stalled' | 'ended' }
  | { phase: 'waiting-for-publisher'; absence: Absence }
  | { phase: 'failed'; failure: Failure }

export type EngineEvent =
  | { type: 'load' }
  /** A new picture (or sound, where there is no picture) has been decoded. */
  | { type: 'frame' }
  /** Playback ran out of media. */
  | { type: 'dry' }
  /** The playlist has not advanced for longer than a running publisher ever leaves it. */
  | { type: 'silent' }
  /** The stream's address answers that nothing is live there. */
  | { type: 'offline' }
  | { type: 'endlist' }
  | { type: 'give-up'; failure: Failure }
  | { type: 'unload' }

export const idle: EngineState = { phase: 'idle' }

/** Returns the same object when the event changes nothing, so callers may compare by identity. */
export function next(state: EngineState, event: EngineEvent): EngineState {
  switch (event.type) {
    case 'unload':
      return state.phase === 'idle' ? state : idle
    case 'load':
      return state.phase === 'loading' ? state : { phase: 'loading' }
    case 'give-up':
      return { phase: 'failed', failure: event.failure }
    case 'frame':
      return moves(state) && state.phase !== 'playing' ? { phase: 'playing' } : state
    case 'dry':
      return state.phase === 'playing' ? { phase: 'stalled' } : state
    case 'silent':
      // Loading counts: the page may have been opened while the publisher is away.
      return state.phase === 'stalled' || state.phase === 'loading'
        ? { phase: 'waiting-for-publisher', absence: 'away' }
        : state
    case 'offline':
      return state.phase === 'waiting-for-publisher' && state.absence === 'offline'
        ? state
        : { phase: 'waiting-for-publisher', absence: 'offline' }
    case 'endlist':
      return state.phase === 'ended' || state.phase === 'idle' ? state : { phase: 'ended' }
  }
}

/** Whether a picture can come without the source being loaded anew. */
function moves(state: EngineState): boolean {
  return (
    state.phase === 'loading' ||
    state.phase === 'playing' ||
    state.phase === 'stalled' ||
    (state.phase === 'waiting-for-publisher' && state.absence === 'away')
  )
}
