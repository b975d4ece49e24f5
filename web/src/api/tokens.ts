import { Emitter } from '@/lib/emitter'
import type { ApiError } from './client'
import type { SignedIn } from './types'

/** Milliseconds before its end at which a token is replaced: the request that carries it has a way to go. */
const margin = 20_000
const name = 'mediad.session'

type Notice = { kind: 'session'; session: SignedIn } | { kind: 'over' }

/** What tabs of a site share. */
export interface Shared {
  /** Runs one at a time, among all tabs. */
  alone: <T>(run: () => Promise<T>) => Promise<T>
  tell: (notice: Notice) => void
  /** Calls back with what other tabs tell. */
  listen: (hear: (notice: Notice) => void) => void
  /** Whether somebody was signed in in this browser: who never was is not asked for at each visit. */
  remembered: () => boolean
  remember: (someone: boolean) => void
}

export interface TokenOptions {
  /** Asks for new tokens by the cookie. */
  refresh: () => Promise<SignedIn>
  shared?: Shared
  now?: () => number
}

interface TokenEvents {
  session: SignedIn
  /** Nobody is signed in any more; with a reason where the server gave one. */
  over: ApiError | null
  /** The password has to be changed before anything else. */
  password: null
}

/**
 * Keeps the access token, in memory alone: the refresh token is in a cookie that no script sees. However many requests
 * want a new token at the same time, in however many tabs, the server is asked for one.
 */
export class Tokens extends Emitter<TokenEvents> {
  private readonly refresh: () => Promise<SignedIn>
  private readonly shared: Shared
  private readonly now: () => number
  private token: string | null = null
  private until = 0
  private renewing: Promise<string | null> | null = null

  constructor({ refresh, shared = browserTabs(), now = Date.now }: TokenOptions) {
    super()
    this.refresh = refresh
    this.shared = shared
    this.now = now
    this.shared.listen((notice) => {
      if (notice.kind === 'session') this.take(notice.session)
      else this.drop(null)
    })
  }

  /** A token to send; null: nobody is signed in. Rejects where that cannot be found out now. */
  async usable(): Promise<string | null> {
    if (this.token && this.now() < this.until - margin) return this.token
    if (!this.token && !this.shared.remembered()) return null
    return this.renew(this.token)
  }

  /** A token in the place of one that is not good any more. */
  renew(old: string | null): Promise<string | null> {
    // Another request, or another tab, may have brought one meanwhile.
    if (this.token && this.token !== old) return Promise.resolve(this.token)
    this.renewing ??= this.shared
      .alone(async () => {
        if (this.token && this.token !== old) return this.token
        try {
          this.begin(await this.refresh())
        } catch (error) {
          const reason = error as ApiError
          // 401: the session is over. All else may be different the next time.
          if (reason.status !== 401 && reason.code !== 'account_suspended') throw error
          this.end(reason.code === 'account_suspended' ? reason : null)
        }
        return this.token
      })
      .finally(() => (this.renewing = null))
    return this.renewing
  }

  /** Somebody has signed in, or their tokens were renewed. */
  begin(session: SignedIn): void {
    this.shared.remember(true)
    this.take(session)
    this.shared.tell({ kind: 'session', session })
  }

  /** Nobody is signed in any more, in any tab. */
  end(reason: ApiError | null = null): void {
    this.shared.remember(false)
    this.drop(reason)
    this.shared.tell({ kind: 'over' })
  }

  demandPassword(): void {
    this.emit('password', null)
  }

  private take(session: SignedIn): void {
    this.token = session.access_token
    this.until = this.now() + session.expires_in * 1_000
    this.emit('session', session)
  }

  private drop(reason: ApiError | null): void {
    this.token = null
    this.emit('over', reason)
  }
}

/** Web Locks and a channel. Locks need TLS or this machine: without them two tabs may ask at once, which the server forgives. */
function browserTabs(): Shared {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks as LockManager | undefined
  const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(name)
  return {
    // What it rejects with is what run rejects with: the types of the library lose that it is awaited.
    alone: (run) => (locks ? (locks.request(name, run) as ReturnType<typeof run>) : run()),
    tell: (notice) => channel?.postMessage(notice),
    listen: (hear) => channel?.addEventListener('message', (event: MessageEvent<Notice>) => hear(event.data)),
    remembered() {
      try {
        return localStorage.getItem(name) !== null
      } catch {
        return true // closed storage: the cookie decides
      }
    },
    remember(someone) {
      try {
        if (someone) localStorage.setItem(name, '1')
        else localStorage.removeItem(name)
      } catch {
        // As above.
      }
    },
  }
}
