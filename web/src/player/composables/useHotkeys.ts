import { onBeforeUnmount, onMounted } from 'vue'

export type Hotkeys = Record<string, (event: KeyboardEvent) => void>

/** Elements that need the keys themselves. */
const typing = 'input:not([type="range"]), textarea, select, [contenteditable="true"], dialog, [role="menu"]'
/** Keys that press or move the focused control. */
const pressing = new Set([' ', 'Enter', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'])

/** The name of a key as the table of shortcuts spells it: "m", "Home", "Alt+x". */
export function keyName({ key, code, altKey }: Pick<KeyboardEvent, 'key' | 'code' | 'altKey'>): string {
  if (!altKey) return key.length === 1 ? key.toLowerCase() : key
  // With Alt some keyboards write another letter: it is the one on the key.
  const letter = /^[a-z]$/i.test(key) ? key : code.replace(/^Key/, '')
  return `Alt+${letter.toLowerCase()}`
}

/** Whether a key pressed on this element is the player's to take. */
export function takes(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof Element)) return true
  if (target.closest(typing)) return false
  return !(pressing.has(key) && target.closest('button, a, input, summary'))
}

/** Shortcuts for the whole page, of single keys or with Alt, unless the viewer is typing, holds another modifier, or turned them off. */
export function useHotkeys(keys: Hotkeys, enabled: () => boolean): void {
  function onKey(event: KeyboardEvent) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || !enabled()) return
    const key = keyName(event)
    const run = keys[key]
    if (!run || !takes(event.target, key)) return
    event.preventDefault()
    run(event)
  }
  onMounted(() => window.addEventListener('keydown', onKey))
  onBeforeUnmount(() => window.removeEventListener('keydown', onKey))
}
