import type { InjectionKey } from 'vue'

/**
 * The access token of who is signed in, made new where it is over; null: nobody is. The app provides it to what is outside of its
 * client, the embed page does not.
 */
export const bearer: InjectionKey<() => Promise<string | null>> = Symbol('bearer')
