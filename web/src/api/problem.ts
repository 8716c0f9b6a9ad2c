import type { Problem } from './types';

/** A refusal of the API (RFC 9457), or what stands for one where there was no answer. */
export class Refusal extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }

  /** What is wrong with which field, the field as in JSON. */
  get fields(): Map<string, string> {
    return new Map((this.problem.errors ?? []).map(({ field, message }) => [field, message]));
  }
}

export function isRefusal(error: unknown, status: number): boolean {
  return error instanceof Refusal && error.problem.status === status;
}

/** What people are told of an error. */
export function words(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof TypeError) return 'the platform does not answer';
  return error instanceof Error ? error.message : String(error);
}
