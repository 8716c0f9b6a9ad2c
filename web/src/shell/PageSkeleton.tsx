/** The place of a page that is on its way; index.html has its colours. */
export function PageSkeleton() {
  return (
    <div className="bars" role="status" aria-label="loading">
      <i />
      <i />
      <i />
      <i />
      <i />
      <i />
    </div>
  );
}
