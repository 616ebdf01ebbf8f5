import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** A modal question. The browser keeps the focus inside, and Escape closes it. */
export function Confirm({
  title,
  action,
  isDangerous = false,
  isReady = true,
  onConfirm,
  onClose,
  children,
}: {
  title: string;
  action: string;
  isDangerous?: boolean;
  isReady?: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={onClose}>
      <h2 id="confirm-title">{title}</h2>
      {children}
      <div class="dialog-actions">
        <button type="button" onClick={onClose}>
          Keep as it is
        </button>
        <button
          type="button"
          class={isDangerous ? "danger" : "primary"}
          disabled={!isReady}
          onClick={onConfirm}
        >
          {action}
        </button>
      </div>
    </dialog>
  );
}
