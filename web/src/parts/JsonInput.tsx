import { JsonInput as Input } from '@mantine/core';
import { useState } from 'react';

interface Props {
  label: string;
  value: unknown;
  onChange: (value: unknown) => void;
  error?: string;
  description?: string;
  required?: boolean;
  disabled?: boolean;
}

/** A value that is written as JSON; what is no JSON yet is not handed on. */
export function JsonInput({ value, onChange, ...props }: Props) {
  const [text, setText] = useState(() => JSON.stringify(value ?? null, null, 2));
  const change = (typed: string) => {
    setText(typed);
    try {
      onChange(JSON.parse(typed));
    } catch {
      // It is being written, and said to be wrong until then.
    }
  };
  return (
    <Input
      {...props}
      value={text}
      onChange={change}
      validationError="this is no JSON yet, and not saved"
      formatOnBlur
      autosize
      minRows={3}
      maxRows={16}
      spellCheck={false}
      classNames={{ input: 'mono' }}
      style={{ gridColumn: '1 / -1' }}
    />
  );
}
