/** Values that a key of the settings may have, in the order in which they are offered. A key that is not here is filled in by hand. */
export const choices: Record<string, readonly string[]> = {
  'auth.registration': ['open', 'invite', 'closed'],
  'auth.streamer_approval': ['auto', 'manual'],
}

/** Messages have no dots in their keys. */
export const messageKey = (key: string) => key.replaceAll('.', '_')
