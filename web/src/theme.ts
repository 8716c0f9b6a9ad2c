import { createTheme, type CSSVariablesResolver } from '@mantine/core';

/** Explanations stand below their inputs, so that inputs stand in a line. */
const input = {
  defaultProps: { size: 'xs', inputWrapperOrder: ['label', 'input', 'error', 'description'] },
};

/** Calm and dense: one accent, and colours otherwise for states alone. */
export const theme = createTheme({
  primaryColor: 'cyan',
  // White on a lighter shade cannot be read well.
  primaryShade: 9,
  defaultRadius: 'sm',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.25rem', lineHeight: '1.4' },
      h2: { fontSize: '1rem', lineHeight: '1.4' },
      h3: { fontSize: '0.875rem', lineHeight: '1.4' },
    },
  },
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: input,
    NumberInput: input,
    PasswordInput: input,
    Select: input,
    Textarea: input,
    Switch: { defaultProps: { size: 'xs' } },
    // Its header is none of the page, and its cross has to be read out.
    Modal: {
      defaultProps: {
        closeButtonProps: { 'aria-label': 'Close' },
        attributes: { header: { role: 'presentation' } },
      },
    },
    Badge: {
      defaultProps: { variant: 'light', size: 'sm', radius: 'sm' },
      styles: {
        root: { minWidth: 'max-content' },
        label: { textTransform: 'none', fontWeight: 600 },
      },
    },
  },
});

/** Below the last shade the library goes back to the one before. */
const hovered = {
  '--mantine-color-cyan-filled-hover': '#095c6b',
  '--mantine-color-red-filled-hover': '#a61e1e',
};

/**
 * Colours of the library in which text has less contrast than 4.5 to 1 (WCAG 2.2, 1.4.3) with what it
 * stands on, made darker or lighter.
 */
export const colours: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...hovered,
    '--mantine-color-dimmed': '#5c636a',
    '--mantine-color-placeholder': '#6b7178',
    '--mantine-color-error': 'var(--mantine-color-red-9)',
    '--mantine-color-green-light-color': '#1e6b2f',
    '--mantine-color-green-text': '#1e6b2f',
    '--mantine-color-yellow-light-color': '#7a4300',
    '--mantine-color-yellow-text': '#7a4300',
    '--mantine-color-red-light-color': '#a61e1e',
    '--mantine-color-blue-light-color': '#145591',
    '--mantine-color-cyan-light-color': '#095c6b',
  },
  dark: {
    ...hovered,
    '--mantine-color-dimmed': '#ababab',
    '--mantine-color-placeholder': '#9a9a9a',
    '--mantine-color-error': 'var(--mantine-color-red-5)',
  },
});
