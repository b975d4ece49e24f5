import { changeUser, lookUpUser } from '@/api/admin'
import { ApiError } from '@/api/client'
import type { AdminUser, Role } from '@/api/types'

/** What became of the answer to a request to be made a streamer. `now` is who they are where it was not given. */
export type Answered = { given: true } | { given: false; now: AdminUser }

export interface AnswerOptions {
  lookUp?: typeof lookUpUser
  change?: typeof changeUser
}

/** How often a user is looked up who changes all the time. */
const looks = 3

/**
 * Answers a request by giving its user a role, which ends it; `seen` is the user as the list showed them, and that may be long ago.
 * Nothing is given where the request is not there any more, or the role is another one by now.
 */
export async function answerRequest(
  seen: AdminUser,
  role: Role,
  { lookUp = lookUpUser, change = changeUser }: AnswerOptions = {},
): Promise<Answered> {
  for (let look = 1; ; look++) {
    const { user: now, etag } = await lookUp(seen.id)
    if (!now) throw new ApiError(404, 'not_found', '', null)
    if (!now.streamer_requested || now.role !== seen.role) return { given: false, now }
    try {
      await change(seen.id, { role }, etag)
      return { given: true }
    } catch (error) {
      // Something else of the user may have changed, as their name.
      if (!(error instanceof ApiError && error.code === 'version_mismatch') || look === looks) throw error
    }
  }
}
