import type { RouteLocationNormalized, RouteLocationRaw, Router } from 'vue-router'
import type { Role } from '@/api/types'
import { keepToken } from '@/features/auth/token'
import { useSession } from './session'

declare module 'vue-router' {
  interface RouteMeta {
    /** Only for who is signed in; others sign in first and come back. */
    signedIn?: boolean
    /** The least role that may; to others the page does not exist: not even its files are fetched. */
    least?: Role
    /** Only for who is not signed in. */
    guest?: boolean
  }
}

export interface Visitor {
  signedIn: boolean
  mustChangePassword: boolean
  is: (least: Role) => boolean
}

/** A path of this site that an address names as the place to go back to; home for all else. */
export function safeTarget(value: unknown): string {
  // Browsers read \ as /, leave out tabs and line ends, and //host is another site.
  return typeof value === 'string' && /^\/(?![/\\])\P{Cc}*$/u.test(value) ? value : '/'
}

/** The address to come back to, for others to keep: the token of a mail's link stays out of it, as queries stand in logs and referrers. */
export function backTo(to: RouteLocationNormalized): string {
  return to.hash.includes('token=') ? to.fullPath.slice(0, -to.hash.length) : to.fullPath
}

/** Where a visitor is sent instead; true: nowhere else. */
export function decide(to: RouteLocationNormalized, who: Visitor): RouteLocationRaw | true {
  if (who.mustChangePassword && to.name !== 'change-password') {
    return { name: 'change-password', query: { to: backTo(to) } }
  }
  if (to.meta.guest && who.signedIn) return safeTarget(to.query.to)
  if ((to.meta.signedIn || to.meta.least) && !who.signedIn) {
    return { name: 'login', query: { to: backTo(to) }, hash: '' }
  }
  if (to.meta.least && !who.is(to.meta.least)) {
    // The address stays: who gets the role loads it again.
    return {
      name: 'forbidden',
      params: { path: to.path.slice(1).split('/') },
      query: to.query,
      replace: true,
    }
  }
  return true
}

export function guard(router: Router): void {
  router.beforeEach(async (to) => {
    const session = useSession()
    const { signedIn, least, guest } = to.meta
    // Pages for everybody do not wait for the answer.
    if ((signedIn || least || guest) && !session.known) await session.ready()
    const where = decide(to, session)
    if (where !== true) keepToken(to.path, to.hash)
    return where
  })
}
