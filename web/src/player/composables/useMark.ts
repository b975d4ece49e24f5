import { onBeforeUnmount, onMounted, type Ref, watch } from 'vue'
import { writeMark } from './resume'

/** Seconds of media between two marks. */
const every = 5

/**
 * Remembers under `key` where the viewer is, `at` seconds from the start of what is `length` seconds long: every few
 * seconds, and when they leave.
 */
export function useMark(key: () => string | null, at: Ref<number | null>, length: () => number): void {
  let marked = -Infinity
  function mark() {
    const name = key()
    if (name === null || at.value === null) return
    marked = at.value
    writeMark(name, at.value, length())
  }
  watch(at, (seconds) => seconds !== null && Math.abs(seconds - marked) >= every && mark())
  onMounted(() => window.addEventListener('pagehide', mark))
  onBeforeUnmount(() => {
    window.removeEventListener('pagehide', mark)
    mark()
  })
}
