export type ThemeChoice = 'system' | 'light' | 'dark'

const key = 'mediad.theme'
const dark = () => matchMedia('(prefers-color-scheme: dark)')

export function readTheme(): ThemeChoice {
  try {
    const stored = localStorage.getItem(key)
    return stored === 'light' || stored === 'dark' ? stored : 'system'
  } catch {
    return 'system'
  }
}

/** Shows and remembers a theme. public/theme.js does the same for the stored one before the first paint. */
export function applyTheme(choice: ThemeChoice): void {
  try {
    if (choice === 'system') localStorage.removeItem(key)
    else localStorage.setItem(key, choice)
  } catch {
    // Closed storage: the theme holds until the page is left.
  }
  paint(choice)
}

/** Follows the system while the viewer has chosen nothing. */
export function followSystem(choice: () => ThemeChoice): void {
  dark().addEventListener('change', () => paint(choice()))
}

function paint(choice: ThemeChoice): void {
  document.documentElement.dataset.theme = choice === 'system' ? (dark().matches ? 'dark' : 'light') : choice
}
