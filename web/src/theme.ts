import { createTheme } from '@mantine/core';

/** Explanations stand below their inputs, so that inputs stand in a line. */
const input = {
  defaultProps: { size: 'xs', inputWrapperOrder: ['label', 'input', 'error', 'description'] },
};

/** Calm and dense: one accent, and colours otherwise for states alone. */
export const theme = createTheme({
  primaryColor: 'cyan',
  primaryShade: { light: 8, dark: 7 },
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
    Badge: {
      defaultProps: { variant: 'light', size: 'sm', radius: 'sm' },
      styles: {
        root: { minWidth: 'max-content' },
        label: { textTransform: 'none', fontWeight: 600 },
      },
    },
  },
});
