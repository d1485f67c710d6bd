// A question that has to be answered before anything else, by the browser's own dialog: focus stays within, Escape leaves.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface Asked {
  title: string;
  onClose: () => void;
  /** There is much to read in it. */
  broad?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, broad = false, children }: Asked) {
  const dialog = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const shown = dialog.current;
    const before = document.activeElement as HTMLElement | null;
    shown?.showModal();
    return () => {
      shown?.close();
      before?.focus?.();
    };
  }, []);
  return (
    <dialog ref={dialog} class={broad ? "broad" : undefined} aria-labelledby={name} onCancel={onClose} onClose={onClose}>
      <h2 id={name}>{title}</h2>
      {children}
    </dialog>
  );
}
