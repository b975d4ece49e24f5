// Runs before the first paint, so that the page never flashes in the other theme. It is a file of its own
// because the content security policy allows no inline script. src/app/theme.ts owns the rest.
;(() => {
  let choice = null
  try {
    choice = localStorage.getItem('mediad.theme')
  } catch {
    // Storage may be closed to us (private mode, cookies off): the system's theme then.
  }
  const dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
